//! Lists: the one envelope that all have, and the cursors by which they are asked for in parts.
//!
//! A *cursor* is the `next` of one answer and the `after` of the next request. It holds the place of the last item that was
//! given, in the order of its list, and what list and which filter it belongs to: so it is stable while items are added, costs
//! this device nothing to keep, and is refused where it does not fit. Bytes that are no cursor are told by a checksum; whoever
//! makes one by hand gets another part of a list that it may read anyway.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use popmesh_proto::query::Part;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::request;
use super::service::Api;

/// The most items of one answer.
pub const MAX_LIMIT: u32 = 1_000;
/// The most characters of a cursor.
pub(super) const MAX_CURSOR: usize = 1_024;

/// How many bytes of a hash tell lists, filters and broken cursors apart.
const MARK: usize = 6;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// Items, in the order of the list.
    pub items: Vec<T>,
    /// Where the next part begins: give it as `after`, with the other parameters as they were. Absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An answer that is a part of a list, whatever else it says.
pub trait Envelope {
    /// What the list is of.
    type Item;

    /// The items, and where the next part begins.
    fn parts(&mut self) -> (&mut Vec<Self::Item>, &mut Option<String>);
}

impl<T> Envelope for List<T> {
    type Item = T;

    fn parts(&mut self) -> (&mut Vec<T>, &mut Option<String>) {
        (&mut self.items, &mut self.next)
    }
}

/// The parameters of every list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only described; `Listed` reads them")]
pub(super) struct PageParams {
    /// The `next` of the answer before; the list from its beginning if absent.
    #[param(min_length = 1, max_length = 1024)]
    after: Option<String>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
}

/// The parameter of lists whose items have a time.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only described; each list's filter reads it")]
pub(super) struct SinceParam {
    /// Of that time or later only, Unix milliseconds.
    since: Option<u64>,
}

/// The filter of a list that has no other parameters.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unfiltered {}

/// The filter of a list whose items have a time, and that has no other parameters.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    since: Option<u64>,
}

impl Since {
    /// Whether something of that time is wanted.
    pub(super) fn has(self, at_ms: u64) -> bool {
        self.since.is_none_or(|since| at_ms >= since)
    }
}

/// What is asked of a list: its filter, and which part of what fits that.
pub(super) struct Listed<F> {
    pub(super) filter: F,
    pub(super) page: Page,
}

/// Which part of a list is asked for.
pub(super) struct Page {
    after: Option<String>,
    limit: u32,
    /// The list and the filter.
    of: [[u8; MARK]; 2],
}

impl<F: DeserializeOwned + Serialize> FromRequestParts<Api> for Listed<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let mut pairs = request::pairs(&parts.uri);
        let after = take(&mut pairs, "after")?;
        let limit = take(&mut pairs, "limit")?.map(|text| limit(&text)).transpose()?;
        let filter: F = request::query(&pairs, api).await?;
        let limit = limit.unwrap_or(popmesh_proto::query::USUAL_LIMIT);
        let of = [list_of(&parts.uri), mark(&[&serde_json::to_vec(&filter).unwrap_or_default()])];
        Ok(Self { filter, page: Page { after, limit, of } })
    }
}

/// A list is named by its path.
fn list_of(uri: &Uri) -> [u8; MARK] {
    mark(&[uri.path().trim_end_matches('/').as_bytes()])
}

fn take(pairs: &mut Vec<(String, String)>, name: &str) -> Result<Option<String>, Problem> {
    let mut found = None;
    let mut twice = false;
    pairs.retain(|(key, value)| {
        let is_it = key == name;
        if is_it {
            twice |= found.replace(value.clone()).is_some();
        }
        !is_it
    });
    if twice { Err(Problem::invalid(name, "it is there twice; give it once")) } else { Ok(found) }
}

fn limit(text: &str) -> Result<u32, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (1..=MAX_LIMIT).contains(number));
    number.ok_or_else(|| {
        let given: String = text.chars().take(40).collect();
        Problem::invalid(
            "limit",
            format!("{given:?} is no number of items; give a whole number from 1 to {MAX_LIMIT}"),
        )
    })
}

impl Page {
    /// At most so many items.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// The place after which the part begins.
    pub(super) fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        let Some(text) = &self.after else { return Ok(None) };
        let bad = |problem: &str| {
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad_cursor",
                format!(
                    "{problem}; give the `next` of the answer before as it was, or begin anew without `after`"
                ),
            )
            .with("field", "after")
        };
        let not_ours = || bad("`after` is no cursor of this API");
        if text.len() > MAX_CURSOR {
            return Err(not_ours());
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| not_ours())?;
        let (list, rest) = bytes.split_first_chunk::<MARK>().ok_or_else(not_ours)?;
        let (filter, rest) = rest.split_first_chunk::<MARK>().ok_or_else(not_ours)?;
        let (check, place) = rest.split_first_chunk::<MARK>().ok_or_else(not_ours)?;
        if *check != mark(&[list, filter, place]) {
            return Err(not_ours());
        }
        if *list != self.of[0] {
            return Err(bad("`after` is a cursor of another list"));
        }
        if *filter != self.of[1] {
            return Err(bad("`after` is a cursor of this list with other parameters"));
        }
        serde_json::from_slice(place).map(Some).map_err(|_| not_ours())
    }

    fn cursor(&self, place: &impl Serialize) -> String {
        let [list, filter] = &self.of;
        let place = serde_json::to_vec(place).unwrap_or_default();
        BASE64_URL_SAFE_NO_PAD.encode([&list[..], filter, &mark(&[list, filter, &place]), &place].concat())
    }

    /// A part that was cut by whoever has the list.
    pub(super) fn given<T, K: Serialize>(&self, Part { items, next }: Part<T, K>) -> List<T> {
        List { items, next: next.map(|place| self.cursor(&place)) }
    }

    /// The part of a whole list, in the order of the places of its items. No two may have one place.
    pub(super) fn cut<T, K>(&self, all: Vec<T>, place: impl Fn(&T) -> K) -> Result<Json<List<T>>, Problem>
    where
        K: Ord + Serialize + DeserializeOwned,
    {
        let after: Option<K> = self.after()?;
        let mut placed: Vec<(K, T)> = all.into_iter().map(|item| (place(&item), item)).collect();
        placed.retain(|(place, _)| after.as_ref().is_none_or(|after| place > after));
        placed.sort_by(|(one, _), (other, _)| one.cmp(other));
        let limit = self.limit as usize;
        let has_more = placed.len() > limit;
        placed.truncate(limit);
        let next = placed.last().filter(|_| has_more).map(|(place, _)| self.cursor(place));
        Ok(Json(List { items: placed.into_iter().map(|(_, item)| item).collect(), next }))
    }
}

fn mark(parts: &[&[u8]]) -> [u8; MARK] {
    let mut hasher = Sha256::new();
    hasher.update(b"popmesh cursor v1");
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().first_chunk().copied().unwrap_or_default()
}
