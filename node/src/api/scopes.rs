//! Which tokens may use which route: the one table. A route that is not in it is refused to every token but the
//! owner's.

use axum::http::Method;

use crate::access::{Right, Scope};

use Scope::{Encoder, Locker, Manager, ReadOnly, Till};

type Row = (&'static str, &'static str, &'static [Scope]);

const ANY: &[Scope] = &[Till, Locker, Encoder, ReadOnly, Manager];
/// Where shoppers are served, and those who look on.
const COUNTER: &[Scope] = &[Till, Locker, ReadOnly, Manager];
/// Money.
const BOOKS: &[Scope] = &[Till, ReadOnly, Manager];
/// What was sold after a close: money, and for whoever closed.
const LATE: &[Scope] = &[Till, Encoder, ReadOnly, Manager];
const LOOK: &[Scope] = &[ReadOnly, Manager];
const SELL: &[Scope] = &[Till, Manager];
/// What a till or a locker gives away here, it gives one by one, and not in a loop: see [`super::giving`].
const HAND_OUT: &[Scope] = &[Till, Locker, Manager];
/// Whoever does what can be taken back.
const UNDO: &[Scope] = &[Till, Locker, Manager];
const DOORS: &[Scope] = &[Locker, Manager];
const DROPS: &[Scope] = &[Encoder];
/// Where shoppers leave an address. What was taken is for whoever owns the device, sealed or not.
const TAKE: &[Scope] = &[Till, Encoder, Manager];
/// What empties this device, or answers for its past.
const MANAGE: &[Scope] = &[Manager];
/// What concerns the whole event, or takes this device off the mesh: for whoever owns the device.
const OWNER: &[Scope] = &[];

const ROUTES: &[Row] = &[
    ("GET", "/v1/status", ANY),
    ("GET", "/v1/devices", ANY),
    ("GET", "/v1/devices/{device}", ANY),
    ("GET", "/v1/peers", ANY),
    ("GET", "/v1/mesh", ANY),
    ("GET", "/v1/health/list", ANY),
    ("GET", "/v1/programme", ANY),
    ("GET", "/v1/products", ANY),
    ("GET", "/v1/products/{sku}", ANY),
    ("GET", "/v1/products/{sku}/picture", ANY),
    ("GET", "/v1/drops", ANY),
    ("GET", "/v1/drops/{drop}", ANY),
    ("GET", "/v1/drops/{drop}/board", ANY),
    ("GET", "/v1/drops/{drop}/steps", ANY),
    ("GET", "/v1/drops/{drop}/late", LATE),
    ("GET", "/v1/lots", ANY),
    ("GET", "/v1/lots/{entry}", ANY),
    ("GET", "/v1/rules", ANY),
    ("GET", "/v1/limits", ANY),
    ("GET", "/v1/stock", ANY),
    ("GET", "/v1/check", ANY),
    ("GET", "/v1/health", ANY),
    ("GET", "/v1/events", ANY),
    ("GET", "/v1/access/own", ANY),
    ("GET", "/v1/openapi.json", ANY),
    ("GET", "/v1/claims", COUNTER),
    ("GET", "/v1/claims/{claim}", COUNTER),
    ("GET", "/v1/claims/{claim}/door", COUNTER),
    ("GET", "/v1/doors", COUNTER),
    ("GET", "/v1/incidents", COUNTER),
    ("GET", "/v1/incidents/{incident}", COUNTER),
    // Whoever may do a thing may look at what came of it.
    ("GET", "/v1/moves/{entry}", COUNTER),
    ("GET", "/v1/damage/{entry}", COUNTER),
    ("GET", "/v1/redemptions/{entry}", COUNTER),
    ("GET", "/v1/carts", BOOKS),
    ("GET", "/v1/carts/{cart}", BOOKS),
    ("GET", "/v1/refunds/{entry}", BOOKS),
    ("GET", "/v1/settlements/{entry}", BOOKS),
    ("GET", "/v1/payments/waiting", BOOKS),
    ("GET", "/v1/receipts", BOOKS),
    ("GET", "/v1/receipts/{device}/{number}", BOOKS),
    ("GET", "/v1/takings", BOOKS),
    ("GET", "/v1/log", LOOK),
    ("GET", "/v1/log/{entry}", LOOK),
    ("GET", "/v1/transfers/{entry}", LOOK),
    ("GET", "/v1/sweeps/{entry}", LOOK),
    ("GET", "/v1/retirements/{entry}", LOOK),
    ("GET", "/v1/devices/renewals/{entry}", LOOK),
    ("GET", "/v1/registrars/{device}", LOOK),
    ("GET", "/v1/frontier", LOOK),
    ("GET", "/v1/export", LOOK),
    ("GET", "/v1/export/{document}", LOOK),
    ("GET", "/v1/export/{kind}/{drop}", LOOK),
    ("GET", "/v1/devices/{device}/retirement", LOOK),
    ("GET", "/v1/registrars", LOOK),
    ("GET", "/metrics", LOOK),
    // Whoever has the token of a claim or a cart has what it stands for: that is more than looking.
    ("GET", "/v1/claims/{claim}/token", SELL),
    ("GET", "/v1/carts/{cart}/token", SELL),
    ("POST", "/v1/sales", SELL),
    ("POST", "/v1/carts", SELL),
    ("POST", "/v1/carts/{cart}/release", SELL),
    ("POST", "/v1/carts/{cart}/paying", SELL),
    ("POST", "/v1/carts/take", SELL),
    ("POST", "/v1/carts/{cart}/items", SELL),
    ("POST", "/v1/carts/{cart}/removals", SELL),
    ("GET", "/v1/undo", COUNTER),
    // What each kind of act takes is looked at where it is taken back.
    ("POST", "/v1/undo", UNDO),
    ("POST", "/v1/refunds", SELL),
    ("POST", "/v1/sweeps", MANAGE),
    ("POST", "/v1/settlements", SELL),
    ("POST", "/v1/transfers", MANAGE),
    ("POST", "/v1/redemptions", HAND_OUT),
    ("POST", "/v1/custody", HAND_OUT),
    ("POST", "/v1/claims/{claim}/unlock", SELL),
    ("POST", "/v1/past/acceptance", MANAGE),
    ("POST", "/v1/leave", MANAGE),
    ("POST", "/v1/moves", HAND_OUT),
    ("POST", "/v1/damage", HAND_OUT),
    ("POST", "/v1/doors/open", DOORS),
    ("POST", "/v1/doors/settle", DOORS),
    ("PUT", "/v1/doors/jam", DOORS),
    ("POST", "/v1/drops/{drop}/steps", DROPS),
    ("POST", "/v1/people", TAKE),
    ("GET", "/v1/people", OWNER),
    ("GET", "/v1/people/{entry}", OWNER),
    ("GET", "/v1/people/erasures/{entry}", OWNER),
    ("GET", "/v1/people/sealed", OWNER),
    ("POST", "/v1/people/erase", OWNER),
    ("POST", "/v1/products", OWNER),
    ("POST", "/v1/drops", OWNER),
    ("POST", "/v1/lots", OWNER),
    ("POST", "/v1/resolutions", OWNER),
    ("POST", "/v1/retirements", OWNER),
    ("POST", "/v1/devices/renewals", OWNER),
    ("POST", "/v1/registrars", OWNER),
    ("POST", "/v1/rules", OWNER),
    ("POST", "/v1/limits", OWNER),
    ("PUT", "/v1/links", OWNER),
    // Whoever admits devices gives the event's secret away.
    ("POST", "/v1/admissions", OWNER),
    ("GET", "/v1/admissions", OWNER),
    ("GET", "/v1/admissions/{admission}", OWNER),
    ("POST", "/v1/admissions/{admission}/close", OWNER),
    // Whoever could make tokens could make one for all that is left to it.
    ("POST", "/v1/tokens", OWNER),
    ("GET", "/v1/tokens", OWNER),
    ("GET", "/v1/tokens/{token}", OWNER),
    ("POST", "/v1/tokens/{token}/revoke", OWNER),
    ("GET", "/v1/access", OWNER),
    ("GET", "/v1/access/certificate.pem", OWNER),
    ("GET", "/v1/access/profile.mobileconfig", OWNER),
];

/// Events that not every scope hears: about what it may not ask for either. All others are heard by all.
const EVENTS: &[(&str, &[Scope])] = &[
    ("redeemed", COUNTER),
    ("refunded", COUNTER),
    ("refund_requested", COUNTER),
    ("custody_moved", COUNTER),
    ("door", COUNTER),
    ("pin_locked", COUNTER),
    ("incident", COUNTER),
    ("incident_settled", COUNTER),
    ("voided", COUNTER),
    ("payment_settled", BOOKS),
    ("personal_taken", MANAGE),
    ("personal_erased", MANAGE),
];

/// Whether `right` hears of events of this kind.
pub(super) fn hears(right: Right, kind: &str) -> bool {
    let listed = EVENTS.iter().find(|(listed, _)| *listed == kind).map(|(_, scopes)| *scopes);
    match right {
        Right::Owner => true,
        Right::Scoped(scope) => listed.is_none_or(|scopes| scopes.contains(&scope)),
    }
}

/// The scopes that may use a route; none if it is not known.
pub(super) fn of(method: &Method, route: &str) -> &'static [Scope] {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let row = ROUTES.iter().find(|(listed, path, _)| *listed == method && *path == route);
    row.map_or(OWNER, |(.., scopes)| scopes)
}

/// Whether `right` allows a route.
pub(super) fn allow(right: Right, method: &Method, route: &str) -> bool {
    match right {
        Right::Owner => true,
        Right::Scoped(scope) => of(method, route).contains(&scope),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_that_is_described_is_listed_once_and_nothing_else() {
        let api = super::super::description();
        let mut described = BTreeSet::new();
        for (path, item) in api["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
        // The second form of the same route, for documents whose names have a slash.
        described.insert(("GET".to_owned(), "/v1/export/{kind}/{drop}".to_owned()));
        let listed: BTreeSet<_> =
            ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        assert_eq!(listed.len(), ROUTES.len(), "a route is listed twice");
        assert_eq!(described, listed);
    }

    #[test]
    fn nobody_hears_of_what_it_may_not_ask_for() {
        let hears = |scope, kind| hears(Right::Scoped(scope), kind);
        assert!(hears(Encoder, "sold") && hears(Encoder, "programme_changed") && hears(Encoder, "reset"));
        assert!(!hears(Encoder, "redeemed") && hears(Locker, "redeemed"));
        assert!(!hears(Locker, "payment_settled") && hears(Till, "payment_settled"));
        assert!(!hears(Till, "personal_taken") && hears(Manager, "personal_taken"));
        assert!(super::hears(Right::Owner, "personal_taken"));
    }

    #[test]
    fn what_is_not_listed_is_refused_and_looking_changes_nothing() {
        for scope in Scope::ALL {
            for (method, route) in [
                (Method::GET, "/v1/new-thing"),
                (Method::DELETE, "/v1/claims"),
                (Method::POST, "/v1/status"),
                (Method::POST, "/v1/retirements"),
                (Method::GET, "other"),
            ] {
                assert!(!allow(Right::Scoped(scope), &method, route), "{scope}: {method} {route}");
            }
        }
        for (method, route, scopes) in ROUTES {
            assert!(*method == "GET" || !scopes.contains(&ReadOnly), "{route}");
        }
        assert!(allow(Right::Owner, &Method::POST, "/v1/retirements"));
        assert!(allow(Right::Scoped(ReadOnly), &Method::HEAD, "/v1/status"));
    }
}
