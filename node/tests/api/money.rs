use popmesh_proto::command::{Command, PaymentNew, Refusal, Tender};
use popmesh_proto::query::Query;
use serde_json::json;

use crate::double::{DEVICE, refusing, start};
use crate::wire::{get, post};

#[tokio::test]
async fn payments_reach_the_device_as_they_were_given() {
    let node = start().await;
    let split = json!({"items": [{"sku": "CAP"}], "payments": [
        {"tender": "card", "amount": 2000, "reference": "T-1", "deferred": true},
        {"tender": "cash", "amount": 500, "given": 1000},
    ]});
    let short = json!({"items": [{"sku": "CAP"}], "tender": "card", "reference": "T-2", "deferred": true});
    for body in [split, short] {
        assert_eq!(post(node.address, "/v1/sales", &[], &body).await.status, 201);
    }
    let done = node.done.lock().unwrap();
    let [Command::Sell(split), Command::Sell(short)] = done.as_slice() else { panic!("{done:?}") };
    let card = PaymentNew {
        tender: Tender::Card,
        amount: 2000,
        reference: Some("T-1".to_owned()),
        deferred: true,
        given: None,
    };
    assert_eq!((&split.payments[0], split.payments[1].given), (&card, Some(1000)));
    assert_eq!((short.tender, short.reference.as_deref(), short.deferred), (Tender::Card, Some("T-2"), true));
}

#[tokio::test]
async fn wrong_payments_say_where() {
    let node = start().await;
    for (body, field) in [
        (json!({"payments": [{"tender": "card"}]}), "payments[0]"),
        (json!({"payments": [{"tender": "gold", "amount": 1}]}), "payments[0].tender"),
        (json!({"payments": [{"tender": "card", "amount": 1.5}]}), "payments[0].amount"),
        (json!({"payments": [["card", 1]]}), "payments[0]"),
        (json!({"payments": [{"tender": "card", "amount": 1, "tip": 1}]}), "payments[0].tip"),
        (json!({"given": "50.00"}), "given"),
        (json!({"deferred": "yes"}), "deferred"),
    ] {
        let problem = post(node.address, "/v1/sales", &[], &body).await.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{problem}");
    }
    for (path, body, field) in [
        ("/v1/rules", json!({"prices": "free"}), "prices"),
        ("/v1/rules", json!({"round": "up"}), "round"),
        ("/v1/rules", json!({"ordinary_wish": -1}), "ordinary_wish"),
        ("/v1/limits", json!({"amount": "all"}), "amount"),
        ("/v1/products", json!({"sku": "CAP", "name": "Cap", "price": 1, "tax": -1}), "tax"),
        ("/v1/products", json!({"sku": "CAP", "name": "Cap", "price": 1, "tax": 70_000}), "tax"),
        ("/v1/settlements", json!({"claim": 7}), "claim"),
    ] {
        let problem = post(node.address, path, &[], &body).await.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{problem}");
    }
    assert!(node.done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn refusals_about_money_carry_the_amounts() {
    let currency = "EUR".parse().unwrap();
    let body = json!({"items": [{"sku": "CAP"}]});
    let node = refusing(Refusal::PaymentsDiffer { total: 2_500, paid: 2_000, currency }).await;
    let problem = post(node.address, "/v1/sales", &[], &body).await.problem(422, "payments_differ");
    assert_eq!((&problem["total"], &problem["paid"]), (&json!(2_500), &json!(2_000)));
    assert!(problem["detail"].as_str().unwrap().ends_with("5.00 EUR lacks"), "{problem}");
    let node = refusing(Refusal::CashShort { due: 2_500, given: 2_000, lacks: 500, currency }).await;
    post(node.address, "/v1/sales", &[], &body).await.problem(422, "cash_short");
    let node = refusing(Refusal::DeferredLimit { limit: 100, waiting: 90, left: 10, currency }).await;
    let problem = post(node.address, "/v1/sales", &[], &body).await.problem(409, "deferred_limit");
    assert_eq!(problem["left"], 10);
}

#[tokio::test]
async fn receipts_come_as_data_as_text_and_as_a_page() {
    let node = start().await;
    let path = format!("/v1/receipts/{DEVICE}/1");
    for query in ["", "?format=json"] {
        let answer = get(node.address, &format!("{path}{query}")).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!((&answer.json()["number"], &answer.json()["total"]), (&json!(1), &json!(2500)));
    }
    let text = get(node.address, &format!("{path}?format=text")).await;
    assert_eq!((text.status, text.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(
        String::from_utf8(text.body)
            .unwrap()
            .lines()
            .any(|line| line.starts_with("Total EUR") && line.ends_with(" 25.00"))
    );
    let page = get(node.address, &format!("{path}?format=html")).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(String::from_utf8(page.body).unwrap().contains("Neon &lt;Night&gt;"));
    let unknown =
        get(node.address, &format!("/v1/receipts/{DEVICE}/2")).await.problem(404, "unknown_receipt");
    assert_eq!(unknown["number"], 2);
    for (path, field) in [
        (format!("/v1/receipts/{DEVICE}/0"), "path"),
        (format!("/v1/receipts/{DEVICE}/one"), "path"),
        (format!("/v1/receipts/{DEVICE}/1?format=pdf"), "format"),
        ("/v1/receipts?limit=1001".to_owned(), "limit"),
    ] {
        let problem = get(node.address, &path).await.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{problem}");
    }
    for path in ["/v1/receipts/till/1", "/v1/takings?device=till"] {
        get(node.address, path).await.problem(404, "unknown_device");
    }
    assert_eq!(get(node.address, "/v1/receipts?device=till-1&limit=3").await.status, 200);
    let asked = node.queries.lock().unwrap().pop();
    let Some(Query::Receipts(filter)) = asked else { panic!("asked {asked:?}") };
    assert_eq!((filter.device, filter.limit), (Some(DEVICE), Some(3)));
}
