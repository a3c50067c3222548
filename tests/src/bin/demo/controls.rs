//! How the venue is controlled: by lines that are typed at the terminal, and by a page of this program's own on loopback.

use std::fmt::Write as _;
use std::io::{BufRead, stdin};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Result;
use popmesh_tests::serve::{Asked, Page, serve};
use popmesh_tests::stage::address;

use crate::play::{Act, How, Play};

const HELP: &str =
    "    cut NAME      switches a device's links off          heal NAME     switches them on again
    pull NAME     pulls its plug (kill -9)               start NAME    gives it power again
    crowd on      lets shoppers come to all tills        crowd off     sends them home
    where         says where everything is               close         closes the venue";

/// Does what is typed, line by line, until somebody closes the venue or nobody types any more.
pub(crate) fn listen(play: &Arc<Play>, closing: &Arc<AtomicBool>) {
    let (play, closing) = (Arc::clone(play), Arc::clone(closing));
    thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            match line.trim() {
                "" => {}
                "help" | "?" => println!("{HELP}"),
                "where" => println!("{}", play.addresses()),
                "close" | "quit" | "exit" => return closing.store(true, Ordering::Relaxed),
                words => match Act::read(words).and_then(|act| play.act(act)) {
                    Ok(said) => println!("    {said}"),
                    Err(error) => println!("    not done: {error:#}"),
                },
            }
        }
    });
}

/// What can be typed.
pub(crate) fn help() -> &'static str {
    HELP
}

/// Serves the page; answers where.
pub(crate) fn serve_page(play: &Arc<Play>) -> Result<SocketAddr> {
    let play = Arc::clone(play);
    let own: Arc<OnceLock<SocketAddr>> = Arc::default();
    let known = Arc::clone(&own);
    let address =
        serve(move |asked| known.get().map_or(Page::status(503), |own| answer(&play, asked, *own)))?;
    // Nobody else sets it.
    let _ = own.set(address);
    Ok(address)
}

/// Pages of other hosts, and other names of this one, control nothing.
fn is_from_here(asked: &Asked, own: SocketAddr) -> bool {
    let hosts = [own.to_string(), format!("localhost:{}", own.port())];
    let host = asked.header("host");
    let origin = asked.header("origin").trim_start_matches("http://");
    hosts.iter().any(|known| known == host) && (asked.method == "GET" || origin == host)
}

fn answer(play: &Play, asked: &Asked, own: SocketAddr) -> Page {
    if !is_from_here(asked, own) {
        return Page::status(403);
    }
    match (&*asked.method, &*asked.path) {
        ("GET", "/") => Page {
            headers: vec![
                ("content-type", "text/html; charset=utf-8".to_owned()),
                (
                    "content-security-policy",
                    "default-src 'none'; style-src 'self'; form-action 'self'".to_owned(),
                ),
            ],
            ..Page::html(drawn(play))
        },
        ("GET", "/look.css") => Page {
            status: 200,
            headers: vec![("content-type", "text/css".to_owned())],
            body: LOOK.to_owned(),
        },
        // A form sends one word of its own, and blanks as plus signs.
        ("POST", "/") => match Act::read(&asked.body.trim_start_matches("do=").replace('+', " ")) {
            Ok(act) => {
                if let Err(error) = play.act(act) {
                    return Page {
                        status: 409,
                        ..Page::html(format!("not done: {}", escaped(&format!("{error:#}"))))
                    };
                }
                Page { status: 303, headers: vec![("location", "/".to_owned())], body: String::new() }
            }
            Err(_) => Page::status(400),
        },
        _ => Page::status(404),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

const LOOK: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td { padding: .4rem .8rem .4rem 0; border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent) }
form { display: inline }
button { font: inherit; min-height: 44px; padding: 0 1rem; margin: .1rem; cursor: pointer }
";

fn button(text: &mut String, words: &str, label: &str) {
    let _ = write!(
        text,
        "<form method=post action=/><button name=do value=\"{words}\" aria-label=\"{label}: {words}\">{label}</button></form> "
    );
}

fn drawn(play: &Play) -> String {
    let mut text = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <meta http-equiv=refresh content=5><title>A venue to play with</title><link rel=stylesheet href=/look.css>\
         <h1>A venue to play with</h1><p>Each device is a node with its own disk, key and console.</p><table>",
    );
    for (device, how) in play.devices() {
        let name = escaped(&device.name);
        let _ = write!(text, "<tr><td><b>{name}</b><td>{}<td>", how.words());
        if how == How::Dead {
            text.push_str("no console");
        } else {
            let _ = write!(text, "<a href=\"{}\" target=\"_blank\">console</a>", address(device, ""));
            if device.name == "encoder" {
                let _ = write!(
                    text,
                    " · <a href=\"{}\" target=\"_blank\">overlay</a>",
                    address(device, "overlay")
                );
            }
        }
        text.push_str("<td>");
        match how {
            How::Linked => button(&mut text, &format!("cut {name}"), "Cut off"),
            How::CutOff => button(&mut text, &format!("heal {name}"), "Heal"),
            How::Dead => button(&mut text, &format!("start {name}"), "Start again"),
        }
        if how != How::Dead {
            button(&mut text, &format!("pull {name}"), "Pull the plug");
        }
    }
    text.push_str("</table><h2>Crowd</h2><p>");
    let _ = write!(text, "{}.</p>", escaped(&play.crowd().told()));
    if play.crowd().is_on() {
        button(&mut text, "crowd off", "Send it home");
    } else {
        button(&mut text, "crowd on", "Let it come");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_page_controls_anything() {
        let own = SocketAddr::from(([127, 0, 0, 1], 4711));
        let asked = |method: &str, host: &str, origin: Option<&str>| {
            let mut headers = vec![("host".to_owned(), host.to_owned())];
            headers.extend(origin.map(|origin| ("origin".to_owned(), origin.to_owned())));
            is_from_here(&Asked { method: method.to_owned(), headers, ..Asked::default() }, own)
        };
        assert!(asked("POST", "127.0.0.1:4711", Some("http://127.0.0.1:4711")));
        assert!(asked("GET", "localhost:4711", None));
        assert!(!asked("POST", "127.0.0.1:4711", None), "a form of another page may send none");
        assert!(!asked("POST", "127.0.0.1:4711", Some("http://evil.example")));
        assert!(
            !asked("POST", "127.0.0.1:4711", Some("http://localhost:4711")),
            "another origin, by its name"
        );
        assert!(!asked("GET", "rebound.example:4711", None));
    }
}
