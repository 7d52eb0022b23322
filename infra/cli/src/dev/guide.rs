//! What is printed when the local stack stands: for each endpoint a command that works as it is pasted.

use std::path::Path;

use rondo_shared::rotation::Grace;

use super::scene::{ORG, PASSWORD, Scene, USER};
use super::stack::Stack;
use crate::failure::Failure;
use crate::product::{DEMO_PROJECT, Product};
use crate::session::Opened;
use crate::workspace::write_private;

/// Writes the cookie jar, and says what can be done now.
///
/// # Errors
/// [`Failure`] where the jar cannot be written.
pub fn text(stack: &Stack) -> Result<String, Failure> {
    let Stack { workspace, local, scene, .. } = stack;
    let path = workspace.kept("cookies.txt");
    write_private(&path, &jar(&scene.jar))?;
    let guide = Guide { base: &local.invoke_url, jar: &shown(&path), scene };
    let groups = [
        guide.uniqos(),
        guide.dreadnode(),
        guide.elastic(),
        guide.replyke(),
        guide.sessions(),
        guide.keys(),
        guide.more(),
    ];
    Ok(format!("the local stack is ready\n\n{}", groups.join("\n\n")))
}

/// What the commands are made of.
struct Guide<'a> {
    base: &'a str,
    jar: &'a str,
    scene: &'a Scene,
}

impl Guide<'_> {
    fn refresh(&self, product: Product) -> String {
        format!("curl -i -X POST {}{}", self.base, product.refresh_path(DEMO_PROJECT))
    }

    fn by_jar(&self, product: Product) -> String {
        format!("{} -b {jar} -c {jar}", self.refresh(product), jar = self.jar)
    }

    fn uniqos(&self) -> String {
        let header = &self.scene.header;
        let refresh = self.refresh(Product::Uniqos);
        format!(
            "Uniqos: from a cookie jar as often as you like; with a header again within {} it is a retry (200), later it is
reuse (401, the session is over)
  {}
  {refresh} -H 'Cookie: {}'",
            grace(header),
            self.by_jar(Product::Uniqos),
            header.cookie(),
        )
    }

    fn dreadnode(&self) -> String {
        format!(
            "Dreadnode: from a cookie jar; {USER} has two organizations
  {}",
            self.by_jar(Product::Dreadnode),
        )
    }

    fn elastic(&self) -> String {
        let (refresh, bearer) = (self.refresh(Product::Elastic), &self.scene.bearer);
        format!(
            "Elastic: a name and a password open a session; a token is refreshed, and again until its successor is, for {} at
most
  {refresh} -u {USER}:{PASSWORD}
  {refresh} -H 'Authorization: Bearer {}'",
            grace(bearer),
            bearer.tokens.refresh_token,
        )
    }

    fn replyke(&self) -> String {
        let (refresh, token) = (self.refresh(Product::Replyke), &self.scene.body.tokens.refresh_token);
        format!(
            "Replyke: project {DEMO_PROJECT}; by a body or from a cookie jar, as often as you like
  {refresh} -H 'Content-Type: application/json' -d '{{\"refreshToken\":\"{token}\"}}'
  {}",
            self.by_jar(Product::Replyke),
        )
    }

    fn sessions(&self) -> String {
        let Self { base, scene, .. } = self;
        let (family, tenant) = (scene.to_end.family(), Product::Dreadnode.name());
        let kept = scene.jar.iter().find(|opened| opened.terms.name == tenant);
        let except = kept.map(|kept| format!(",\"except\":\"{}\"", kept.family())).unwrap_or_default();
        let owner = format!("tenant={tenant}&user={USER}");
        let json = "-H 'Content-Type: application/json' -d";
        format!(
            "sessions, for a backend: open one (again, it is the same until it is refreshed or ended), list, end one, end all
but the cookie jar's
  curl -i -X POST {base}/sessions {json} '{{\"tenant\":\"{tenant}\",\"user\":\"{USER}\",\"client_token\":\"after-{family}\"}}'
  curl -i '{base}/sessions?{owner}'
  curl -i -X DELETE '{base}/sessions/{family}?{owner}'
  curl -i -X POST {base}/sessions/revoke {json} '{{\"tenant\":\"{tenant}\",\"user\":\"{USER}\"{except}}}'",
        )
    }

    fn keys(&self) -> String {
        let Self { base, scene, .. } = self;
        let terms = &scene.header.terms;
        let (issuer, audience) = (&terms.authority.issuer, &terms.access.audience);
        let refresh = self.by_jar(Product::Uniqos).replacen("-i", "-s", 1);
        format!(
            "keys: EdDSA, for all products; and an access token of Uniqos verified by them (pip install 'pyjwt[crypto]')
  curl -i {base}/.well-known/jwks.json
  curl -i {base}/.well-known/openid-configuration
  {refresh} | python3 -c 'import json, jwt, sys; token = json.load(sys.stdin)[\"access_token\"]; key = jwt.PyJWKClient(\"{base}/.well-known/jwks.json\").get_signing_key_from_jwt(token); print(jwt.decode(token, key.key, [\"EdDSA\"], audience=\"{audience}\", issuer=\"{issuer}\"))'",
        )
    }

    fn more(&self) -> String {
        let family = self.scene.header.family();
        format!(
            "more:
  rondo session open --user {USER} --org {ORG}      another session; --product dreadnode, elastic or replyke
  rondo session list --user {USER}                how the user's sessions stand; --tenant replyke:{DEMO_PROJECT}
  rondo family show {family}     what happened to the header's session
  rondo family show -                            the same, by a token on standard input
  rondo user show {USER} --tenant replyke:{DEMO_PROJECT}     what is known of a user
  rondo project remove {DEMO_PROJECT}                     nothing of the project is refreshed; project put {DEMO_PROJECT} --status active
  rondo demo                                     each product's story, played over HTTP; --product elastic
  rondo dev --grace-secs 3                       other grace windows
where `rondo` is `cargo run -q --bin rondo --`; Ctrl-C ends everything"
        )
    }
}

fn grace(opened: &Opened) -> String {
    match opened.terms.rotation.grace {
        Grace::Window(window) | Grace::UntilSuccessorUsed { at_most: window } => format!("{} s", window.as_secs()),
        Grace::Off => "no time".to_owned(),
    }
}

/// A cookie jar in Netscape's format, as curl reads it, with the sessions' refresh cookies in it.
fn jar(sessions: &[Opened]) -> String {
    let line = |opened: &Opened| {
        let cookie = opened.terms.refresh_cookie.as_ref()?;
        let fields = [
            "#HttpOnly_127.0.0.1",
            "FALSE",
            cookie.path,
            "FALSE",
            &opened.expires_at().secs().to_string(),
            cookie.name,
            &opened.tokens.refresh_token,
        ];
        Some(format!("{}\n", fields.join("\t")))
    };
    let lines: String = sessions.iter().filter_map(line).collect();
    format!("# Netscape HTTP Cookie File\n{lines}")
}

/// A path as it is shortest to type here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}
