//! Who sends a request, as far as the gateway can tell.
//!
//! The address is the gateway's `sourceIp`. `X-Forwarded-For` says whatever the sender likes and counts only where a
//! front door (a CDN that all traffic must pass) proves itself with a shared secret in a header of its own.

use std::net::IpAddr;

use lambda_http::http::HeaderMap;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};

use crate::config::FrontDoorSecret;
use crate::identity::Client;

/// The header in which a front door proves itself.
pub const FRONT_DOOR_HEADER: &str = "x-rondo-front-door";

/// The client of a request.
#[must_use]
pub fn client_of(request: &Request, front_door: Option<&FrontDoorSecret>) -> Client {
    let proven = |secret: &FrontDoorSecret| {
        request.headers().get(FRONT_DOOR_HEADER).is_some_and(|presented| secret.matches(presented.as_bytes()))
    };
    let sender = source_ip(request);
    let forwarded = front_door.filter(|secret| proven(secret)).and_then(|_| viewer(request.headers(), sender));
    Client::new(forwarded.or(sender), text(request.headers(), "user-agent"))
}

fn source_ip(request: &Request) -> Option<IpAddr> {
    let ip = match request.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => context.identity.source_ip.as_deref(),
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref(),
        _ => None,
    };
    // Emulators add a port.
    let ip = ip?;
    ip.parse().ok().or_else(|| ip.parse().ok().map(|address: std::net::SocketAddr| address.ip()))
}

/// The address that the front door itself appended. It is the last one, or the last but one where the gateway has
/// appended the front door in turn; those before it are the sender's word.
fn viewer(headers: &HeaderMap, front_door: Option<IpAddr>) -> Option<IpAddr> {
    let sent: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let addresses = sent.iter().flat_map(|value| value.split(',')).map(|address| address.trim().parse().ok());
    let mut from_the_right = addresses.rev();
    let last: IpAddr = from_the_right.next()??;
    if Some(last) == front_door { from_the_right.next().flatten() } else { Some(last) }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Common, Reader};
    use lambda_http::http;

    fn request(headers: &[(&str, &str)]) -> Request {
        let builder = headers.iter().fold(http::Request::builder(), |b, (name, value)| b.header(*name, *value));
        builder.body(lambda_http::Body::Empty).unwrap()
    }

    fn secret() -> FrontDoorSecret {
        Common::read(&mut Reader::new([("FRONT_DOOR_SECRET", "open sesame")])).front_door_secret.unwrap()
    }

    #[test]
    fn a_forwarded_address_counts_only_from_a_front_door_that_proves_itself() {
        let forwarded = ("x-forwarded-for", "198.51.100.7, 203.0.113.9");
        let ip = |headers: &[(&str, &str)], secret: Option<&FrontDoorSecret>| client_of(&request(headers), secret).ip();
        assert_eq!(ip(&[forwarded, (FRONT_DOOR_HEADER, "open sesame")], Some(&secret())), "203.0.113.9");
        assert_eq!(ip(&[forwarded, (FRONT_DOOR_HEADER, "open")], Some(&secret())), "-");
        assert_eq!(ip(&[forwarded], Some(&secret())), "-");
        assert_eq!(ip(&[forwarded, (FRONT_DOOR_HEADER, "open sesame")], None), "-");
    }

    #[test]
    fn the_viewer_is_whom_the_front_door_saw_whether_or_not_the_gateway_appended_the_front_door() {
        let seen = |forwarded: &str| {
            let headers = request(&[("x-forwarded-for", forwarded)]).headers().clone();
            viewer(&headers, Some("203.0.113.9".parse().unwrap())).map(|ip| ip.to_string())
        };
        assert_eq!(seen("192.0.2.66, 198.51.100.7").as_deref(), Some("198.51.100.7"));
        assert_eq!(seen("192.0.2.66, 198.51.100.7, 203.0.113.9").as_deref(), Some("198.51.100.7"));
        assert_eq!(seen("203.0.113.9"), None);
        assert_eq!(seen("192.0.2.66, unknown"), None);
    }
}
