//! `popmesh device ticket` and `popmesh device tickets`.

use popmesh_proto::identity::Role;
use serde_json::json;

use super::super::client::print;
use super::super::failure::{Failure, Outcome};
use super::super::table::{Table, printable};
use super::super::{Data, values};
use super::{Ticket, Tickets, grant};
use crate::clock::now_ms;
use crate::folder;
use crate::join::{Record, Ticket as JoinTicket};
use crate::qr::Code;

pub(in crate::cli) fn ticket(request: &Ticket, data: &Data, json: bool) -> Outcome {
    if [Role::Hq, Role::Registrar, Role::Steward].into_iter().any(|role| request.role.has(role)) {
        return Err(Failure::with_help(
            "a ticket makes no hq, no registrar and no steward: whoever finds it would have the programme, the stock, or the \
             right to admit others",
            "admit that device by its code, with `popmesh device admit CODE`",
        ));
    }
    let admitting = request.by.admitting(data)?;
    let grant = grant(request.role, &request.venue, None, &request.validity)?;
    admitting.issuer().check(&grant, now_ms())?;
    let event = admitting.issuer().charter().event();
    let ticket = JoinTicket::from_random(event, values::random()?, values::random()?);
    let until_ms = now_ms() + values::ms(request.lifetime);
    let prefix = request.prefix.clone();
    let record = Record { ticket, grant, count: request.count, until_ms, prefix };
    let text = record.ticket.to_text();
    let picture = Code::new(&text).map_err(|error| Failure::here(error.to_string()))?;
    for path in request.output.iter().chain(&request.svg) {
        if path.exists() {
            return Err(folder::FolderError::Exists(path.clone()).into());
        }
    }
    admitting.ledger().keep(&record).map_err(|error| Failure::here(error.to_string()))?;
    // Whoever can read it can join.
    if let Some(path) = &request.output {
        folder::write_new(path, &format!("{text}\n"))?;
    }
    if let Some(path) = &request.svg {
        folder::write_new(path, &picture.svg())?;
    }
    let (id, by) = (record.ticket.id.to_string(), request.by.issuing(data)?.argument());
    let value = json!({
        "id": id, "ticket": request.output.is_none().then_some(&text), "file": request.output, "svg": request.svg,
        "count": request.count, "until_ms": until_ms, "prefix": record.prefix,
    });
    print(json, &value, || {
        let shown = match &request.output {
            Some(path) => path.display().to_string(),
            None => format!("{}{text}", super::picture(&text)),
        };
        let prefix = record.prefix.as_ref();
        let named = prefix.map_or_else(String::new, |prefix| format!(", named {}…", printable(prefix)));
        let devices =
            if request.count == 1 { "one device".to_owned() } else { format!("{} devices", request.count) };
        format!(
            "{shown}\n\nTicket {id}: for {devices}{named}, until {}. Whoever has it can join; keep it as you would a key.\nHere: \
             popmesh device admit --tickets {by}\nOn each device, which is then given the ticket as a line of text: popmesh join --ticket -\nOr, with the ticket in a file: popmesh join --ticket @FILE",
            values::time(until_ms),
        )
    })
}

pub(in crate::cli) fn tickets(request: &Tickets, data: &Data, json: bool) -> Outcome {
    let ledger = request.by.admitting(data)?.ledger().clone();
    let (now_ms, mut records) = (now_ms(), ledger.all());
    records.sort_by_key(|record| record.until_ms);
    let known: Vec<_> = records.into_iter().map(|record| (ledger.users(&record), record)).collect();
    let value = known.iter().map(|(users, record)| {
        let users = users.iter().map(|user| {
            let user = user.as_ref();
            json!({
                "device": user.map(|user| user.device), "name": user.map(|user| &user.name),
                "at_ms": user.map(|user| user.at_ms),
            })
        });
        json!({
            "id": record.ticket.id.to_string(), "roles": record.grant.roles.iter().collect::<Vec<Role>>(),
            "venue": record.grant.venue, "prefix": record.prefix, "count": record.count, "until_ms": record.until_ms,
            "uses": users.collect::<Vec<_>>(),
        })
    });
    print(json, &json!({ "tickets": value.collect::<Vec<_>>() }), || {
        let mut table = Table::new(&["ticket", "for", "at", "names", ">used", ">of", "until", "by"]);
        for (users, record) in &known {
            let prefix =
                record.prefix.as_ref().map_or_else(|| "any".to_owned(), |prefix| format!("{prefix}…"));
            let until = values::time(record.until_ms);
            let until = if now_ms >= record.until_ms { format!("{until}, over") } else { until };
            let by: Vec<String> = users
                .iter()
                .map(|user| user.as_ref().map_or_else(|| "not noted".to_owned(), |user| user.name.clone()))
                .collect();
            table.row([
                record.ticket.id.to_string(),
                record.grant.roles.to_string(),
                record.grant.venue.to_string(),
                prefix,
                users.len().to_string(),
                record.count.to_string(),
                until,
                by.join(", "),
            ]);
        }
        if table.is_empty() { "No tickets were made here.\n".to_owned() } else { table.to_string() }
    })
}
