//! What a caller takes: the media ranges of its `Accept` header (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

/// The media ranges that a request names.
#[derive(Debug)]
pub(super) struct Accept<'a> {
    ranges: Vec<Range<'a>>,
}

/// How a caller likes one media type, by the range that names it most closely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Liking {
    /// In thousandths; 0 if it does not take it.
    pub(super) weight: u32,
    /// Whether the type itself is named, not only a family of types.
    pub(super) named: bool,
    /// Where that range stands in the header, 0 first.
    pub(super) place: usize,
}

impl<'a> Accept<'a> {
    /// Reads the header; what is no media range in it counts for nothing.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let sent = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        Self { ranges: sent.flat_map(|value| value.split(',')).filter_map(Range::read).collect() }
    }

    /// Whether the caller says nothing: it takes whatever there is.
    pub(super) fn is_silent(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How it likes a type such as `text/plain`, in this version if the type has versions.
    pub(super) fn liking(&self, media_type: &str, version: Option<&str>) -> Liking {
        let fits = |(place, range): (usize, &Range<'_>)| {
            let closeness = range.closeness(media_type, version)?;
            Some((closeness, range.weight, place))
        };
        // Of two that name it as closely the one that likes it more; of equals the first.
        let closest = self.ranges.iter().enumerate().filter_map(fits);
        let closest =
            closest.max_by_key(|(closeness, weight, place)| (*closeness, *weight, usize::MAX - place));
        closest.map_or(Liking { weight: 0, named: false, place: usize::MAX }, |(closeness, weight, place)| {
            Liking { weight, named: closeness >= Closeness::Type, place }
        })
    }
}

/// How closely a range names a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Any,
    Family,
    Type,
    Version,
}

#[derive(Debug)]
struct Range<'a> {
    family: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    weight: u32,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (family, subtype) = parts.next()?.split_once('/')?;
        let (mut version, mut weight) = (None, 1_000);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim() {
                name if name.eq_ignore_ascii_case("q") => {
                    let q = value.parse::<f64>().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0);
                    weight = (q * 1_000.0).round() as u32;
                }
                name if name.eq_ignore_ascii_case("version") => version = Some(value),
                _ => {}
            }
        }
        Some(Self { family: family.trim(), subtype: subtype.trim(), version, weight })
    }

    /// How closely it names this type; `None` if it does not.
    fn closeness(&self, media_type: &str, version: Option<&str>) -> Option<Closeness> {
        let (family, subtype) = media_type.split_once('/')?;
        let named = self.family.eq_ignore_ascii_case(family);
        let closeness = match (self.subtype, self.family) {
            (subtype_of_range, _) if named && subtype_of_range.eq_ignore_ascii_case(subtype) => {
                Closeness::Type
            }
            ("*", _) if named => Closeness::Family,
            ("*", "*") => Closeness::Any,
            _ => return None,
        };
        match (self.version, version) {
            (Some(asked), Some(version)) if asked != version => None,
            (Some(_), Some(_)) if closeness == Closeness::Type => Some(Closeness::Version),
            _ => Some(closeness),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn liking(accept: &[&str], media_type: &str, version: Option<&str>) -> (u32, bool, usize) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        let liking = Accept::of(&headers).liking(media_type, version);
        (liking.weight, liking.named, liking.place)
    }

    #[test]
    fn the_closest_range_says_how_a_type_is_liked() {
        let nowhere = (0, false, usize::MAX);
        for (accept, expected) in [
            (&["*/*"][..], (1_000, false, 0)),
            (&["image/png", "text/*;q=0.3, */*;q=0.1"], (300, false, 1)),
            (&["*/*", "TEXT/Plain; q=0.25"], (250, true, 1)),
            (&["text/plain;q=0, */*"], (0, true, 0)),
            (&["text/plain;q=0.5, text/plain;q=0.7"], (700, true, 1)),
            (&["text/plain;q=2"], (0, true, 0)),
            (&["text/plain;version=1;q=0.1, text/plain"], (100, true, 0)),
            (&["text/plain;version=\"2\""], nowhere),
            (&["*/plain", "text", "", ";q=1"], nowhere),
        ] {
            assert_eq!(liking(accept, "text/plain", Some("1")), expected, "{accept:?}");
        }
        assert_eq!(liking(&["text/plain;version=2"], "text/plain", None), (1_000, true, 0));
    }
}
