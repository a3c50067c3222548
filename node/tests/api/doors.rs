use popmesh_proto::command::DoorState;
use popmesh_proto::fact::Fact;
use popmesh_proto::query::Query;
use serde_json::json;

use crate::double::{DEVICE, entry, start};
use crate::wire::{get, post, send};

#[tokio::test]
async fn virtual_doors_are_jammed_and_shown() {
    let node = start().await;
    let before = get(node.address, "/v1/doors").await.json();
    assert_eq!((&before["driver"], &before["virtual_doors"]), (&json!("virtual"), &json!([])));
    assert_eq!(before["to_look_at"][0]["compartments"], json!(["07"]));
    let json_body = [("content-type", "application/json")];
    for jammed in [true, false] {
        let body = json!({"compartment": "07", "jammed": jammed}).to_string();
        let answer = send(node.address, "PUT", "/v1/doors/jam", &json_body, body.as_bytes()).await;
        assert_eq!(answer.status, 200);
        let doors = get(node.address, "/v1/doors").await.json();
        assert_eq!(doors["virtual_doors"], json!([{"compartment": "07", "opened": 0, "jammed": jammed}]));
    }
    let odd = json!({"compartment": "../07", "jammed": true}).to_string();
    let answer = send(node.address, "PUT", "/v1/doors/jam", &json_body, odd.as_bytes()).await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (422, json!("invalid")));
}

#[tokio::test]
async fn who_waits_for_a_door_hears_of_it_at_once() {
    let node = start().await;
    let claim = entry(9);
    let (address, path) = (node.address, format!("/v1/claims/{claim}/door?wait_ms=20000"));
    let waiting = tokio::spawn(async move { get(address, &path).await });
    while !node.queries.lock().unwrap().contains(&Query::Door(claim)) {
        tokio::task::yield_now().await;
    }
    let drop = "neon".parse().unwrap();
    let door = Fact::Door {
        at_ms: 1,
        entry: entry(11),
        claim,
        drop,
        by: DEVICE,
        by_name: "till-1".to_owned(),
        state: DoorState::Opened,
        items: vec![],
    };
    node.events.tell(vec![door]).unwrap();
    assert_eq!(waiting.await.unwrap().json()["state"], "opened");
    // Who does not wait hears how it stands.
    let other = get(node.address, &format!("/v1/claims/{}/door", entry(12))).await.json();
    assert_eq!((&other["state"], &other["being_opened"]), (&json!("opening"), &json!(true)));
    let long = get(node.address, &format!("/v1/claims/{claim}/door?wait_ms=20001")).await;
    assert_eq!((long.status, long.json()["field"].clone()), (422, json!("wait_ms")));
}

#[tokio::test]
async fn people_open_again_and_settle() {
    let node = start().await;
    let claim = entry(9);
    let opened = post(node.address, "/v1/doors/open", &[], &json!({ "claim": claim })).await;
    assert_eq!((opened.status, opened.json()["claim"].clone()), (200, json!(claim)));
    let settle = json!({"claim": claim, "handed_over": false, "by": "Ana"});
    assert_eq!(post(node.address, "/v1/doors/settle", &[], &settle).await.status, 200);
    let lacking = json!({ "claim": claim });
    assert_eq!(post(node.address, "/v1/doors/settle", &[], &lacking).await.status, 422);
}
