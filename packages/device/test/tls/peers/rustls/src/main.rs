//! A server of rustls: it reports what it knows of a connection as a line of JSON, then sends
//! everything back. A read of exactly `update keys` and its newline makes it send a KeyUpdate
//! before the echo (RFC 8446 section 4.6.3). See ../../rustls.ts for its arguments.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::crypto::aws_lc_rs::{default_provider, Ticketer, ALL_KX_GROUPS};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

type Failure = Box<dyn Error>;
type Wish = HashMap<String, String>;

const UPDATE_KEYS: &[u8] = b"update keys\n";

fn main() -> Result<(), Failure> {
    let config = Arc::new(configuration(&wish())?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?.port());
    for socket in listener.incoming() {
        let (socket, config) = (socket?, config.clone());
        thread::spawn(move || {
            if let Err(error) = serve(socket, config) {
                println!("refused: {error}");
            }
        });
    }
    Ok(())
}

/// Arguments are `name=value`.
fn wish() -> Wish {
    std::env::args()
        .skip(1)
        .filter_map(|word| {
            word.split_once('=')
                .map(|(name, value)| (name.into(), value.into()))
        })
        .collect()
}

fn configuration(wish: &Wish) -> Result<ServerConfig, Failure> {
    let provider = Arc::new(provider(wish));
    let chain = CertificateDer::pem_file_iter(&wish["cert"])?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&wish["key"])?;
    let staple = wish
        .get("staple")
        .map(fs::read)
        .transpose()?
        .unwrap_or_default();
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier(wish, provider)?)
        .with_single_cert_with_ocsp(chain, key, staple)?;
    config.alpn_protocols = words(wish, "alpn")
        .map(|name| name.as_bytes().to_vec())
        .collect();
    if wish.contains_key("tickets") {
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = Ticketer::new()?;
    }
    Ok(config)
}

fn provider(wish: &Wish) -> CryptoProvider {
    let mut provider = default_provider();
    if wish.contains_key("groups") {
        provider.kx_groups = words(wish, "groups")
            .filter_map(|name| {
                ALL_KX_GROUPS
                    .iter()
                    .find(|group| group_name(group.name()) == name)
            })
            .copied()
            .collect();
    }
    if wish.contains_key("suites") {
        provider.cipher_suites = words(wish, "suites")
            .filter_map(|name| {
                provider
                    .cipher_suites
                    .iter()
                    .find(|suite| suite_name(suite.suite()) == name)
            })
            .copied()
            .collect();
    }
    provider
}

fn verifier(
    wish: &Wish,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Failure> {
    let Some(file) = wish.get("anchors") else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let mut anchors = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        anchors.add(certificate?)?;
    }
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider).build()?)
}

fn words<'a>(wish: &'a Wish, name: &str) -> impl Iterator<Item = &'a str> {
    wish.get(name).into_iter().flat_map(|list| list.split(','))
}

fn serve(mut socket: TcpStream, config: Arc<ServerConfig>) -> Result<(), Failure> {
    let mut connection = ServerConnection::new(config)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    let report = report(&connection);
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(report.as_bytes())?;
    stream.flush()?;
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        if buffer[..length] == *UPDATE_KEYS {
            stream.conn.refresh_traffic_keys()?;
        }
        stream.write_all(&buffer[..length])?;
        stream.flush()?;
    }
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

fn report(connection: &ServerConnection) -> String {
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let group = connection
        .negotiated_key_exchange_group()
        .map(|group| group_name(group.name()));
    let suite = connection
        .negotiated_cipher_suite()
        .map(|suite| suite_name(suite.suite()));
    let alpn = connection
        .alpn_protocol()
        .map(|name| String::from_utf8_lossy(name).into_owned());
    let client = connection
        .peer_certificates()
        .and_then(|chain| chain.first());
    format!(
        "{{\"resumed\":{resumed},\"group\":{},\"suite\":{},\"alpn\":{},\"client\":{}}}\n",
        json(group),
        json(suite),
        json(alpn),
        json(client.map(|leaf| hex(leaf))),
    )
}

/// Of values without quotes, backslashes and control characters.
fn json(value: Option<String>) -> String {
    value.map_or("null".into(), |text| format!("\"{text}\""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// rustls writes X25519 in capitals.
fn group_name(group: rustls::NamedGroup) -> String {
    match group {
        rustls::NamedGroup::X25519 => "x25519".into(),
        other => format!("{other:?}"),
    }
}

/// rustls writes TLS13 for TLS in the names of suites.
fn suite_name(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replace("TLS13_", "TLS_")
}
