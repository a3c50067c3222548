//! The picture of the mesh: what devices tell of each other, with what this node's own links show besides.

use axum::Json;
use axum::extract::State;
use popmesh_proto::query::{Answer, MeshEdge, MeshNode, Query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::mesh::MeshLink;
use super::openapi::QueryProblems;
use super::problem::Problem;
use super::service::{Api, only};

/// Who sees whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeshNow {
    /// As of when, Unix milliseconds by this device's clock.
    pub as_of_ms: u64,
    /// Whether links of this device are switched on.
    pub links_on: bool,
    /// Whether the mesh answered; if not, what only it knows of this device's own links is not there.
    pub mesh_answers: bool,
    /// Every device known, this one included.
    pub nodes: Vec<MeshNode>,
    /// Links between two that are known. Of a device that has told nothing no links of its own are known: that is not the
    /// same as none.
    pub edges: Vec<LinkEdge>,
}

/// A link between two devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinkEdge {
    /// What is known of it from what devices tell.
    #[serde(flatten)]
    pub edge: MeshEdge,
    /// Of a link of this device: `tcp`, `quic` or `ble`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Of a link of this device, once measured: the round-trip time, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// Of a link of this device over Bluetooth: how strong the other's signal is, dBm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rssi_dbm: Option<i8>,
    /// Of a link of this device: since when, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
}

/// The picture of the mesh: who sees whom, by which link, and how far behind each device is
///
/// Of this device's own links it is known now; of others', as they last told, with the age of that. What is not known is absent.
#[utoipa::path(
    get, path = "/v1/mesh", operation_id = "mesh_get", tag = "observe",
    responses((status = 200, description = "Devices, and the links between them", body = MeshNow), QueryProblems)
)]
pub(super) async fn mesh(State(api): State<Api>) -> Result<Json<MeshNow>, Problem> {
    let picture = api.ask(Query::Mesh, only!(Answer::Mesh)).await?;
    let snapshot = api.mesh.snapshot().await;
    let mesh_answers = snapshot.is_some();
    let snapshot = snapshot.unwrap_or_default();
    let own = |edge: &MeshEdge| -> Option<&MeshLink> {
        let other = match api.device {
            device if device == edge.a => edge.b,
            device if device == edge.b => edge.a,
            _ => return None,
        };
        // The one that is used, where there are several.
        let links = snapshot.links.iter().filter(|link| link.device == other);
        links.min_by(|one, other| {
            let rtt = |link: &MeshLink| link.rtt_ms.unwrap_or(f64::INFINITY);
            rtt(one).total_cmp(&rtt(other))
        })
    };
    let edges = picture.edges.into_iter().map(|edge| {
        let link = own(&edge);
        LinkEdge {
            transport: link.map(|link| link.transport.clone()),
            rtt_ms: link.and_then(|link| link.rtt_ms),
            rssi_dbm: link.and_then(|link| link.rssi_dbm),
            since_ms: link.map(|link| link.since_ms),
            edge,
        }
    });
    Ok(Json(MeshNow {
        as_of_ms: picture.as_of_ms,
        links_on: snapshot.links_on,
        mesh_answers,
        edges: edges.collect(),
        nodes: picture.nodes,
    }))
}
