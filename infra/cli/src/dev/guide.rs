//! What is printed when the local stack stands: commands that work as they are pasted.

use std::path::Path;

use rondo_shared::rotation::Grace;

use super::scene::{ORG, USER};
use super::stack::Stack;
use crate::failure::Failure;
use crate::product::Product;
use crate::session::Opened;
use crate::workspace::write_private;

/// Writes the cookie jar, and says what can be done now.
///
/// # Errors
/// [`Failure`] where the jar cannot be written.
pub fn text(stack: &Stack) -> Result<String, Failure> {
    let Stack { workspace, local, target, scene, .. } = stack;
    let product = Product::Uniqos;
    let path = workspace.kept("cookies.txt");
    write_private(&path, &jar(&scene.jar))?;
    let settings = target.settings(product)?;
    let url = format!("{}{}", local.invoke_url, product.refresh_path());
    let (jar, jwks) = (shown(&path), shown(&workspace.kept("jwks.json")));
    let cookie = scene.header.cookie();
    let family = scene.header.family;
    let grace = match settings.rotation.grace {
        Grace::Window(window) | Grace::UntilSuccessorUsed { at_most: window } => format!("{} s", window.as_secs()),
        Grace::Off => "off".to_owned(),
    };
    let (issuer, audience) = (&settings.authority.issuer, &settings.access.audience);
    Ok(format!(
        "the local stack is ready

refresh: again within the grace window it is a retry (200), later it is reuse (401, the session is over)
  curl -i -X POST {url} -H 'Cookie: {cookie}'

refresh as a browser does, from a cookie jar: as often as you like
  curl -i -X POST {url} -b {jar} -c {jar}

verify an access token: EdDSA, keys in {jwks}, iss {issuer}, aud {audience}, typ at+jwt; with any JWT library, such as
  pip install 'pyjwt[crypto]'
  curl -s -X POST {url} -b {jar} -c {jar} | python3 -c 'import json, jwt, sys; token = json.load(sys.stdin)[\"access_token\"]; keys = jwt.PyJWKSet.from_dict(json.load(open(\"{jwks}\"))); key = keys[jwt.get_unverified_header(token)[\"kid\"]]; print(jwt.decode(token, key.key, [\"EdDSA\"], audience=\"{audience}\", issuer=\"{issuer}\"))'

more:
  rondo session open --user {USER} --org {ORG}     another session
  rondo session list --user {USER}                how the user's sessions stand
  rondo family show {family}     what happened to the first session
  rondo family show -                            the same, by a token on standard input
  rondo demo                                     tabs, a lost answer and a thief, played over HTTP
  rondo dev --grace-secs 3                       another grace window (now: {grace})
where `rondo` is `cargo run -q --bin rondo --`; Ctrl-C ends everything"
    ))
}

/// A cookie jar in Netscape's format, as curl reads it, with the session's cookie in it.
fn jar(opened: &Opened) -> String {
    let cookie = &opened.settings.cookie;
    let fields = [
        "#HttpOnly_127.0.0.1",
        "FALSE",
        cookie.path,
        "FALSE",
        &opened.pair.refresh_expires_at().secs().to_string(),
        cookie.name,
        opened.pair.refresh_token(),
    ];
    format!("# Netscape HTTP Cookie File\n{}\n", fields.join("\t"))
}

/// A path as it is shortest to type here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}
