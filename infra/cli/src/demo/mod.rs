//! Each product's story, played over HTTP against the running local stack: what its clients, an unlucky client and a
//! thief see. Each scene says what has to be answered, so that the demo is a smoke test too. One file per product; the
//! stories are played at once, so that their waits for a window are one.

mod dreadnode;
mod elastic;
mod replyke;
mod uniqos;
mod verify;

use std::time::Duration;

use clap::{Args, ValueEnum as _};
use futures_util::future::try_join_all;
use rondo_shared::identity::{FamilyId, OrgKey, Subject, Tenant};
use rondo_shared::rotation::Grace;
use serde_json::{Value, json};

use crate::exchange::{Answer, Call};
use crate::failure::Failure;
use crate::family;
use crate::product::{DEMO_PROJECT, Product, ProductArguments};
use crate::report::{Report, table};
use crate::session::{self, OpenArguments, Opened};
use crate::target::{Place, Target};
use crate::timeline::Timeline;

/// Who owns the session.
const OWNER: &str = "rondo-demo/owner";
/// Who stole a token of it.
const THIEF: &str = "rondo-demo/thief";
/// Waited longer than the grace window, so that no clock's rounding decides.
const MARGIN: Duration = Duration::from_secs(1);

/// What is played, and with whom.
#[derive(Args, Debug)]
pub struct DemoArguments {
    /// The product whose story is played [default: all].
    #[arg(long, value_enum)]
    pub product: Option<Product>,
    /// The user whose sessions are played with; for Elastic, one with the password of the demo data.
    #[arg(long, default_value = "demo")]
    pub user: Subject,
    /// The organization that they act for, where the product knows one.
    #[arg(long, default_value = "acme")]
    pub org: OrgKey,
}

/// What a scene has to be answered with.
#[derive(Clone, Copy)]
struct Expected<'a> {
    text: &'a str,
    is: &'a (dyn Fn(&Answer) -> bool + Sync),
}

/// A request that was played.
struct Scene {
    what: &'static str,
    by: &'static str,
    expected: String,
    answer: Answer,
    holds: bool,
}

/// A story as far as it has been played.
struct Play<'a> {
    product: Product,
    tenant: Tenant,
    arguments: &'a DemoArguments,
    target: &'a Target,
    url: String,
    keys_url: String,
    scenes: Vec<Scene>,
    /// The session that the timeline at the story's end is of.
    family: Option<FamilyId>,
}

impl Play<'_> {
    /// Opens a session for the story's user.
    async fn open(&mut self) -> Result<Opened, Failure> {
        let DemoArguments { user, org, .. } = self.arguments;
        let open = OpenArguments {
            user: user.clone(),
            org: matches!(self.product, Product::Uniqos | Product::Dreadnode).then(|| org.clone()),
            label: Some("rondo demo".to_owned()),
            product: ProductArguments { product: self.product, project: None },
        };
        let opened = session::open(&open, self.target).await?;
        self.family = Some(opened.family());
        self.tell("", &format!("opened session {} for {}", opened.family(), user.as_str()));
        Ok(opened)
    }

    /// Looks at the access token of an answer as a resource server does, by the published keys.
    async fn verified(&mut self, answer: &Answer, pointer: &str) -> Result<(), Failure> {
        let token = answer.text(pointer).unwrap_or_default();
        let products = self.target.products().await?;
        let terms = products.of(&self.tenant).map(sessions::products::Product::terms);
        let issuer = terms.map(|terms| terms.authority.issuer.clone()).unwrap_or_default();
        let audience = terms.map(|terms| terms.access.audience.clone()).unwrap_or_default();
        let is_good = |keys: &Answer| keys.status == 200 && verify::verifies(&token, &keys.body, &issuer, &audience);
        let expected = Expected { text: "200 with the key that the token verifies by", is: &is_good };
        let what = "its access token verifies by the published keys";
        self.scene(what, OWNER, Call::get(self.keys_url.clone()), expected).await?;
        Ok(())
    }

    /// How long a retry is believed.
    async fn window(&self) -> Result<Duration, Failure> {
        let products = self.target.products().await?;
        let grace = products.of(&self.tenant).map_or(Grace::Off, |product| product.terms().rotation.grace);
        let off = "it needs a grace window; start `rondo dev` with --grace-secs 3";
        match grace {
            Grace::Window(window) | Grace::UntilSuccessorUsed { at_most: window } => Ok(window),
            Grace::Off => Err(Failure::Unplayable(off.to_owned())),
        }
    }

    /// A request to the product's endpoint.
    fn call(&self) -> Call {
        Call::post(&self.url)
    }

    /// Sends one request and notes whether the answer is as the story has it.
    async fn scene(
        &mut self,
        what: &'static str,
        by: &'static str,
        call: Call,
        expected: Expected<'_>,
    ) -> Result<Answer, Failure> {
        let answer = call.by(by).answered().await?;
        self.note(what, by, expected, answer.clone());
        Ok(answer)
    }

    fn note(&mut self, what: &'static str, by: &'static str, expected: Expected<'_>, answer: Answer) {
        self.tell(&answer.status.to_string(), what);
        let holds = (expected.is)(&answer);
        self.scenes.push(Scene { what, by, expected: expected.text.to_owned(), answer, holds });
    }

    /// Waits until a grace window has passed.
    async fn wait_out(&self, window: Duration) {
        let wait = window + MARGIN;
        let what = format!("waiting {} s for the grace window of {} s to pass", wait.as_secs(), window.as_secs());
        self.tell("", &what);
        tokio::time::sleep(wait).await;
    }

    fn tell(&self, status: &str, what: &str) {
        eprintln!("{:9} {status:>3}  {what}", self.product.name());
    }
}

/// The cookie that a browser sends next: the new one, or its old one where none was set.
fn next_cookie(answer: &Answer, name: &str, sent: &str) -> String {
    answer.kept_cookie(name).unwrap_or_else(|| sent.to_owned())
}

/// Plays the stories.
///
/// # Errors
/// [`Failure::Unplayable`] where there is no local stack or no grace window; others where a request got no answer. An
/// answer that is not as its story has it makes the report a bad one.
pub async fn run(arguments: &DemoArguments, target: &Target) -> Result<Report, Failure> {
    let Place::Local(stack) = target.place() else {
        return Err(Failure::Unplayable("it is played on the local stack alone".to_owned()));
    };
    let played =
        Product::value_variants().iter().filter(|product| arguments.product.is_none_or(|only| only == **product));
    let stories = played.map(|product| story(*product, &stack.invoke_url, arguments, target));
    let stories: Vec<Story> = try_join_all(stories).await?;
    let good = stories.iter().all(Story::is_good);
    let verdict = if good { "every answer is as its story has it" } else { "an answer is not as its story has it" };
    let texts: Vec<_> = stories.iter().map(Story::text).collect();
    let json = json!({"good": good, "stories": stories.iter().map(Story::json).collect::<Vec<_>>()});
    Ok(Report::new(format!("{}\n\n{verdict}", texts.join("\n\n")), json).checked(good))
}

async fn story(
    product: Product,
    invoke_url: &str,
    arguments: &DemoArguments,
    target: &Target,
) -> Result<Story, Failure> {
    let tenant = ProductArguments { product, project: None }.tenant()?;
    let url = format!("{invoke_url}{}", product.refresh_path(DEMO_PROJECT));
    let keys_url = format!("{invoke_url}/.well-known/jwks.json");
    let mut play = Play { product, tenant, arguments, target, url, keys_url, scenes: Vec::new(), family: None };
    match product {
        Product::Uniqos => uniqos::perform(&mut play).await?,
        Product::Dreadnode => dreadnode::perform(&mut play).await?,
        Product::Elastic => elastic::perform(&mut play).await?,
        Product::Replyke => replyke::perform(&mut play).await?,
    }
    let Play { scenes, tenant, family, .. } = play;
    let timeline = match family {
        Some(family) => Some(family::timeline(&tenant, family, target).await?),
        None => None,
    };
    Ok(Story { product, scenes, timeline })
}

/// A story that was played.
struct Story {
    product: Product,
    scenes: Vec<Scene>,
    /// Of its session, if one was opened.
    timeline: Option<Timeline>,
}

impl Story {
    fn is_good(&self) -> bool {
        self.scenes.iter().all(|scene| scene.holds)
    }

    fn text(&self) -> String {
        let row = |scene: &Scene| {
            let verdict =
                if scene.holds { "as it should be".to_owned() } else { format!("expected {}", scene.expected) };
            vec![scene.what.to_owned(), scene.by.to_owned(), scene.answer.meaning(), verdict]
        };
        let scenes = table(&["scene", "client", "answer", "verdict"], self.scenes.iter().map(row));
        let timeline = self.timeline.as_ref().map(|timeline| format!("\n\n{}", timeline.text()));
        format!("{}\n\n{scenes}{}", self.product.name(), timeline.unwrap_or_default())
    }

    fn json(&self) -> Value {
        json!({
            "product": self.product.name(),
            "good": self.is_good(),
            "scenes": self.scenes.iter().map(|scene| json!({
                "what": scene.what,
                "user_agent": scene.by,
                "status": scene.answer.status,
                "code": scene.answer.error_code(),
                "request_id": scene.answer.request_id,
                "expected": scene.expected,
                "holds": scene.holds,
            })).collect::<Vec<_>>(),
            "timeline": self.timeline.as_ref().map(Timeline::json),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer for the stories' own tests.
    pub(super) fn answer(status: u16, cookies: &[&str], body: &str) -> Answer {
        let set_cookies = cookies.iter().map(|cookie| (*cookie).to_owned()).collect();
        Answer { status, set_cookies, request_id: None, body: body.to_owned() }
    }

    #[test]
    fn one_scene_that_does_not_hold_makes_a_story_a_bad_one() {
        let scene = |holds| Scene {
            what: "a scene",
            by: OWNER,
            expected: "200".to_owned(),
            answer: answer(200, &[], "secret"),
            holds,
        };
        let story = |scenes| Story { product: Product::Uniqos, scenes, timeline: None };
        assert!(story(vec![scene(true), scene(true)]).is_good());
        let bad = story(vec![scene(true), scene(false)]);
        assert!(!bad.is_good() && bad.text().contains("expected 200"));
        assert!(!bad.text().contains("secret") && !bad.json().to_string().contains("secret"));
    }

    #[test]
    fn a_browser_keeps_its_old_cookie_where_none_is_set() {
        assert_eq!(next_cookie(&answer(200, &["r=new; Path=/"], ""), "r", "r=old"), "r=new");
        assert_eq!(next_cookie(&answer(500, &[], ""), "r", "r=old"), "r=old");
    }
}
