//! Where callers from elsewhere reach the API of this device, and by what they know it; and what a tablet has to be given so
//! that it trusts that.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use popmesh_proto::id::DeviceId;
use sha2::{Digest, Sha256};

use super::{Authority, Reach};

/// How many characters of base64 are on a line.
const LINE: usize = 52;

/// Where an API is reached.
#[derive(Debug, Clone)]
pub struct Reached {
    /// Where it listens.
    pub listens: SocketAddr,
    /// By what its certificate lets it be called from elsewhere; nothing if it listens for this host alone.
    pub by: Reach,
    /// What callers are to trust; absent without TLS.
    pub certificate: Option<Trusted>,
}

/// The certificate that callers are to trust.
#[derive(Debug, Clone)]
pub struct Trusted {
    /// Its SHA-256.
    pub fingerprint: [u8; 32],
    /// In PEM.
    pub pem: String,
    /// When it ends, Unix milliseconds.
    pub ends_ms: u64,
    der: Vec<u8>,
}

impl Trusted {
    /// That of an authority.
    pub fn of(authority: &Authority) -> Self {
        Self {
            fingerprint: authority.fingerprint(),
            pem: authority.pem().to_owned(),
            ends_ms: authority.ends_ms(),
            der: authority.der().to_vec(),
        }
    }

    /// A profile by which an iPhone or an iPad takes the certificate in; who holds it has to trust it besides, in its settings.
    pub fn profile(&self, device: DeviceId, name: &str) -> String {
        let mut lines = String::new();
        let encoded = BASE64_STANDARD.encode(&self.der);
        for line in encoded.as_bytes().chunks(LINE) {
            // Base64 is ASCII, so every piece of it is text.
            let _ = writeln!(lines, "\t\t\t{}", String::from_utf8_lossy(line));
        }
        let (id, name) = (device.short(), escaped(name));
        let [whole, inner] =
            [&b"profile"[..], b"certificate"].map(|part| uuid(&[part, &self.fingerprint].concat()));
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadCertificateFileName</key>
			<string>popmesh-{id}.cer</string>
			<key>PayloadContent</key>
			<data>
{lines}			</data>
			<key>PayloadDescription</key>
			<string>Lets this tablet call the popmesh device {name}, and nothing else.</string>
			<key>PayloadDisplayName</key>
			<string>popmesh device {name} ({id})</string>
			<key>PayloadIdentifier</key>
			<string>popmesh.{id}.certificate</string>
			<key>PayloadType</key>
			<string>com.apple.security.root</string>
			<key>PayloadUUID</key>
			<string>{inner}</string>
			<key>PayloadVersion</key>
			<integer>1</integer>
		</dict>
	</array>
	<key>PayloadDescription</key>
	<string>Trust for one popmesh device. Remove it after the event.</string>
	<key>PayloadDisplayName</key>
	<string>popmesh {name}</string>
	<key>PayloadIdentifier</key>
	<string>popmesh.{id}</string>
	<key>PayloadType</key>
	<string>Configuration</string>
	<key>PayloadUUID</key>
	<string>{whole}</string>
	<key>PayloadVersion</key>
	<integer>1</integer>
</dict>
</plist>
"#
        )
    }
}

impl Reached {
    /// How callers from elsewhere write its address, those with a name first. Addresses of one link alone are left out, as no
    /// browser can be told them.
    pub fn urls(&self) -> Vec<String> {
        if self.certificate.is_none() {
            return Vec::new();
        }
        let port = self.listens.port();
        let names = self.by.names.iter().filter(|name| *name != "localhost");
        let named = names.map(|name| format!("https://{name}:{port}"));
        let of_all = self.by.addresses.iter().filter(|address| is_of_all(address));
        named.chain(of_all.map(|address| format!("https://{}", SocketAddr::new(*address, port)))).collect()
    }
}

/// Whether others can call this address, by itself.
fn is_of_all(address: &IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !address.is_unspecified() && !link_local
}

/// A UUID of the form for hashes of one's own (RFC 9562, version 8).
fn uuid(of: &[u8]) -> String {
    let mut bytes: [u8; 16] = Sha256::digest(of).first_chunk().copied().unwrap_or_default();
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode_upper(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A text as XML has it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(certificate: bool) -> Reached {
        let trusted = Trusted { fingerprint: [7; 32], pem: "PEM".to_owned(), ends_ms: 1, der: vec![1; 100] };
        let addresses = ["127.0.0.1", "192.0.2.7", "169.254.0.9", "fe80::1", "2001:db8::7"];
        Reached {
            listens: "0.0.0.0:7443".parse().unwrap(),
            by: Reach {
                addresses: addresses.map(|address| address.parse().unwrap()).to_vec(),
                names: vec!["localhost".to_owned(), "till-1.local".to_owned()],
            },
            certificate: certificate.then_some(trusted),
        }
    }

    #[test]
    fn only_what_others_can_call_is_said_and_nothing_without_tls() {
        let urls = ["https://till-1.local:7443", "https://192.0.2.7:7443", "https://[2001:db8::7]:7443"];
        assert_eq!(reached(true).urls(), urls);
        assert!(reached(false).urls().is_empty());
    }

    #[test]
    fn a_profile_has_the_certificate_and_no_name_breaks_out_of_it() {
        let trusted = reached(true).certificate.unwrap();
        let profile = trusted.profile(DeviceId([9; 32]), "</string><key>&\u{7}");
        assert!(profile.contains("&lt;/string&gt;&lt;key&gt;&amp;\u{fffd}") && !profile.contains("<key>&"));
        let data = profile.split("<data>").nth(1).unwrap().split("</data>").next().unwrap();
        let data: String = data.split_whitespace().collect();
        assert_eq!(BASE64_STANDARD.decode(data).unwrap(), [1; 100]);
        assert_eq!(profile, trusted.profile(DeviceId([9; 32]), "</string><key>&\u{7}"), "it stays the same");
    }
}
