//! Why TLS failed, in words that lead somewhere.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use rustls::pki_types::{InvalidDnsNameError, UnixTime};
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::system;
use super::verifiers::is_authority_as_server;
use crate::text::quoted;

/// How deep errors stand in each other at most.
const DEEPEST: usize = 8;

/// Returns what failed in TLS, and what to do about it. `None` when it was something else.
pub(in crate::store::registry) fn explain(error: &ureq::Error) -> Option<(String, String)> {
    if find::<InvalidDnsNameError>(error).is_some() {
        return Some((
            "this host name cannot stand in a certificate".to_owned(),
            "check how the name of the registry is written".to_owned(),
        ));
    }
    let (reason, hint) = match find::<rustls::Error>(error)? {
        rustls::Error::InvalidCertificate(error) => certificate(error),
        rustls::Error::AlertReceived(alert) => refused(*alert),
        error if is_no_tls(error) => (
            "the server does not speak TLS: its answer is something else".to_owned(),
            "if it is a registry without TLS, say so with --plain-http".to_owned(),
        ),
        rustls::Error::PeerIncompatible(_) => incompatible(),
        error => (
            format!("TLS failed: {}", quoted(&error.to_string())),
            "try again; if it stays so, the server or a proxy before it does not keep to TLS".to_owned(),
        ),
    };
    Some((reason, hint))
}

/// Returns whether the peer answered the beginning of TLS with something that is no TLS, as a server for plain HTTP does.
pub(in crate::store::registry) fn is_plain_http(error: &ureq::Error) -> bool {
    find::<rustls::Error>(error).is_some_and(is_no_tls)
}

fn is_no_tls(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion)
    )
}

/// Finds an error of some kind in another. The client's own error gives no source, so each kind is opened by hand.
fn find<E: Error + 'static>(error: &ureq::Error) -> Option<&E> {
    let mut next: &(dyn Error + 'static) = error;
    for _ in 0..DEEPEST {
        if let Some(found) = next.downcast_ref::<E>() {
            return Some(found);
        }
        next = match (next.downcast_ref::<ureq::Error>(), next.downcast_ref::<io::Error>()) {
            (Some(ureq::Error::Io(below)), _) => below,
            (Some(ureq::Error::Other(below)), _) => &**below,
            (_, Some(below)) => below.get_ref()?,
            _ => next.source()?,
        };
    }
    None
}

fn certificate(error: &CertificateError) -> (String, String) {
    const CLOCK: &str = "check the clock of this machine; if it is right, the registry needs a new certificate";
    const RENEW: &str = "the registry needs another certificate; --tls-verify=false accepts any, and with it anybody";
    let (reason, hint) = match error {
        CertificateError::UnknownIssuer if system().roots.is_empty() => (
            "the certificate is signed by an authority this machine does not know: it knows none".to_owned(),
            "install the system's certificates (package ca-certificates), or name the authority with --ca-file FILE",
        ),
        CertificateError::UnknownIssuer => (
            "the certificate is signed by an authority this machine does not know".to_owned(),
            "name the authority's certificate with --ca-file FILE, or put it at /etc/containers/certs.d/HOST/ca.crt",
        ),
        CertificateError::Expired => ("the certificate has expired".to_owned(), CLOCK),
        CertificateError::ExpiredContext { time, not_after } => {
            (format!("the certificate expired{}{}", dated(" on ", *not_after), dated(", and it is now ", *time)), CLOCK)
        }
        CertificateError::NotValidYet => ("the certificate is not valid yet".to_owned(), CLOCK),
        CertificateError::NotValidYetContext { time, not_before } => {
            let (begin, now) = (dated(" before ", *not_before), dated(", and it is now ", *time));
            (format!("the certificate is not valid{begin}{now}"), CLOCK)
        }
        CertificateError::NotValidForName => ("the certificate is for another name".to_owned(), RENEW),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let reason =
                format!("the certificate is not for {}, {}", quoted(&expected.to_str()), presented_names(presented));
            (reason, "use a name that the certificate has, or give the registry a certificate for this one")
        }
        CertificateError::Revoked => ("the certificate was revoked".to_owned(), RENEW),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            ("the certificate is not meant for a server".to_owned(), RENEW)
        }
        CertificateError::BadSignature => (
            "the certificate is not signed by the authority that it names".to_owned(),
            "check that the file given as authority is the one that signed the registry's certificate",
        ),
        error if is_authority_as_server(error) => (
            "the certificate is that of an authority (CA:TRUE), and nobody named it as a server's".to_owned(),
            "if it is the right one, name this very certificate with --ca-file FILE, or put it at \
             /etc/containers/certs.d/HOST/ca.crt",
        ),
        other => (format!("the certificate cannot be used: {}", quoted(&other.to_string())), RENEW),
    };
    (reason, hint.to_owned())
}

/// What a certificate says it is for. It comes from outside, and may be long.
fn presented_names(presented: &[String]) -> String {
    const MOST: usize = 5;
    // rustls hands them out as `DnsName("example.com")`
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        quoted(inner.unwrap_or(name).trim_matches('"'))
    };
    let mut names: Vec<String> = presented.iter().take(MOST).map(bare).collect();
    if names.is_empty() {
        return "and names no host at all (a common name alone does not count)".to_owned();
    }
    if presented.len() > MOST {
        names.push(format!("{} more", presented.len() - MOST));
    }
    format!("but for {}", names.join(", "))
}

/// Returns a date after some words, or nothing when the date is no date.
fn dated(words: &str, time: UnixTime) -> String {
    const YEAR_9999: u64 = 253_370_764_800;
    let date = Some(time.as_secs()).filter(|seconds| *seconds < YEAR_9999);
    let date = date.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    date.map_or_else(String::new, |date| format!("{words}{}", httpdate::fmt_http_date(date)))
}

/// What the server says when it ends the handshake (RFC 8446, section 6.2).
fn refused(alert: AlertDescription) -> (String, String) {
    use AlertDescription as A;
    const CLIENT: &str = "give a client certificate with --client-cert FILE and --client-key FILE, or in certs.d";
    let (reason, hint) = match alert {
        A::CertificateRequired | A::NoCertificate => ("the server wants a client certificate", CLIENT),
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::DecryptError
        | A::AccessDenied => ("the server does not accept the client certificate, or misses one", CLIENT),
        A::ProtocolVersion | A::InsufficientSecurity => return incompatible(),
        A::HandshakeFailure => (
            "the server ended the handshake: it misses a client certificate, or has no TLS in common with us",
            "give a client certificate with --client-cert FILE and --client-key FILE if it wants one; \
             else let it speak TLS 1.2 or 1.3",
        ),
        A::UnrecognisedName => {
            ("the server knows no host of this name", "check how the name of the registry is written")
        }
        other => {
            let reason = format!("the server ended the connection with the TLS alert {other:?}");
            return (reason, "the server's log says why".to_owned());
        }
    };
    (reason.to_owned(), hint.to_owned())
}

fn incompatible() -> (String, String) {
    (
        "the server and barge have no version or cipher of TLS in common".to_owned(),
        "barge speaks TLS 1.2 and 1.3 with modern ciphers: the server has to be brought up to date".to_owned(),
    )
}
