//! The story of rotation, played over HTTP against the running local stack: what a browser, an unlucky browser and a
//! thief see. Each scene says what has to be answered, so that the demo is a smoke test too.

use std::time::Duration;

use clap::Args;
use rondo_shared::identity::{OrgKey, Subject};
use rondo_shared::rotation::Grace;
use serde_json::{Value, json};

use crate::exchange::{Answer, refresh};
use crate::failure::Failure;
use crate::family;
use crate::product::Product;
use crate::report::{Report, table};
use crate::session::{self, OpenArguments, Opened};
use crate::target::{Place, Target};

/// Who owns the session.
const OWNER: &str = "rondo-demo/owner";
/// Who stole a token of it.
const THIEF: &str = "rondo-demo/thief";
/// Waited longer than the grace window, so that no clock's rounding decides.
const MARGIN: Duration = Duration::from_secs(1);

/// For whom the demo is played.
#[derive(Args, Debug)]
pub struct DemoArguments {
    /// The user whose session is played with.
    #[arg(long, default_value = "demo")]
    pub user: Subject,
    /// The user's organization.
    #[arg(long, default_value = "acme")]
    pub org: OrgKey,
}

/// What a scene has to be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// 200, and a new cookie.
    Tokens,
    /// 401, and the cookie cleared.
    SignedOut,
}

impl Expected {
    fn is(self, answer: &Answer, cookie: &str) -> bool {
        match self {
            Self::Tokens => answer.status == 200 && answer.kept_cookie(cookie).is_some(),
            Self::SignedOut => answer.status == 401 && answer.clears_cookie(cookie),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "200 with a new cookie",
            Self::SignedOut => "401 with the cookie cleared",
        }
    }
}

/// A request that was played.
struct Scene {
    what: &'static str,
    by: &'static str,
    expected: Expected,
    answer: Answer,
    holds: bool,
}

/// The play so far.
struct Play {
    url: String,
    cookie: &'static str,
    scenes: Vec<Scene>,
}

impl Play {
    /// Sends one request and notes whether the answer is as the story has it. Returns the cookie that a browser would
    /// send next: the new one, or its old one where none was set.
    async fn scene(
        &mut self,
        what: &'static str,
        by: &'static str,
        sent: &str,
        expected: Expected,
    ) -> Result<String, Failure> {
        let answer = self.send(by, sent).await?;
        Ok(self.note(what, by, sent, expected, answer))
    }

    async fn send(&self, by: &'static str, sent: &str) -> Result<Answer, Failure> {
        let (url, sent) = (self.url.clone(), sent.to_owned());
        let answer = tokio::task::spawn_blocking(move || refresh(&url, Some(&sent), by)).await;
        Ok(answer.map_err(|_| Failure::Unplayable("a request was cut short".to_owned()))??)
    }

    fn note(&mut self, what: &'static str, by: &'static str, sent: &str, expected: Expected, answer: Answer) -> String {
        let holds = expected.is(&answer, self.cookie);
        let next = answer.kept_cookie(self.cookie).unwrap_or_else(|| sent.to_owned());
        eprintln!("{:>4}  {what}", answer.status);
        self.scenes.push(Scene { what, by, expected, answer, holds });
        next
    }
}

/// Plays the story.
///
/// # Errors
/// [`Failure::Unplayable`] where there is no local stack or no grace window; others where a request got no answer. An
/// answer that is not as the story has it makes the report a bad one.
pub async fn run(arguments: &DemoArguments, target: &Target) -> Result<Report, Failure> {
    let Place::Local(stack) = target.place() else {
        return Err(Failure::Unplayable("it is played on the local stack alone".to_owned()));
    };
    let product = Product::Uniqos;
    let open = OpenArguments {
        user: arguments.user.clone(),
        org: Some(arguments.org.clone()),
        label: Some("rondo demo".to_owned()),
        product,
    };
    let opened = session::open(&open, target).await?;
    let Grace::Window(window) = opened.settings.rotation.grace else {
        return Err(Failure::Unplayable("it needs a grace window; start `rondo dev` with --grace-secs 3".to_owned()));
    };
    let url = format!("{}{}", stack.invoke_url, product.refresh_path());
    let mut play = Play { url, cookie: opened.settings.cookie.name, scenes: Vec::new() };
    eprintln!("opened session {} for {}", opened.family, arguments.user.as_str());
    perform(&mut play, &opened, window).await?;
    let timeline = family::timeline(&product.tenant(), opened.family, target).await?;
    Ok(report(&play, &timeline.text(), &timeline.json()))
}

async fn perform(play: &mut Play, opened: &Opened, window: Duration) -> Result<(), Failure> {
    use Expected::{SignedOut, Tokens};
    let first = play.scene("a refresh: the token is rotated", OWNER, &opened.cookie(), Tokens).await?;

    let (one, other) = tokio::join!(play.send(OWNER, &first), play.send(OWNER, &first));
    let (one, other) = (one?, other?);
    play.note("two tabs at once, the one: rotated or reissued", OWNER, &first, Tokens, one);
    let second = play.note("two tabs at once, the other: neither is signed out", OWNER, &first, Tokens, other);

    let _lost = play.scene("a refresh whose answer gets lost", OWNER, &second, Tokens).await?;
    let third = play.scene("its retry with the old cookie: believed", OWNER, &second, Tokens).await?;

    let wait = window + MARGIN;
    eprintln!("      waiting {} s for the grace window of {} s to pass", wait.as_secs(), window.as_secs());
    tokio::time::sleep(wait).await;

    play.scene("a thief replays the old cookie: reuse, the family is sealed", THIEF, &second, SignedOut).await?;
    play.scene("the owner's newest cookie is dead too: sign in again", OWNER, &third, SignedOut).await?;
    Ok(())
}

fn report(play: &Play, timeline: &str, timeline_json: &Value) -> Report {
    let row = |scene: &Scene| {
        let verdict =
            if scene.holds { "as it should be".to_owned() } else { format!("expected {}", scene.expected.as_str()) };
        vec![scene.what.to_owned(), scene.by.to_owned(), meaning(&scene.answer, play.cookie), verdict]
    };
    let good = play.scenes.iter().all(|scene| scene.holds);
    let verdict = if good { "every answer is as the story has it" } else { "an answer is not as the story has it" };
    let scenes = table(&["scene", "client", "answer", "verdict"], play.scenes.iter().map(row));
    let json = json!({
        "good": good,
        "scenes": play.scenes.iter().map(|scene| json!({
            "what": scene.what,
            "user_agent": scene.by,
            "status": scene.answer.status,
            "code": scene.answer.error_code(),
            "request_id": scene.answer.request_id,
            "expected": scene.expected.as_str(),
            "holds": scene.holds,
        })).collect::<Vec<_>>(),
        "timeline": timeline_json,
    });
    Report::new(format!("{scenes}\n\n{timeline}\n\n{verdict}"), json).checked(good)
}

fn meaning(answer: &Answer, cookie: &str) -> String {
    let cookie_says = if answer.clears_cookie(cookie) {
        ", cookie cleared"
    } else if answer.kept_cookie(cookie).is_some() {
        ", new cookie"
    } else {
        ", no cookie"
    };
    let code = answer.error_code().map(|code| format!(" {code}")).unwrap_or_default();
    format!("{}{code}{cookie_says}", answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_only_with_its_cookie() {
        let answer = |status, cookie: &str| Answer {
            status,
            set_cookies: vec![cookie.to_owned()],
            request_id: None,
            body: String::new(),
        };
        assert!(Expected::Tokens.is(&answer(200, "r=a.b.c; Max-Age=9"), "r"));
        assert!(!Expected::Tokens.is(&answer(200, "other=1"), "r"));
        assert!(Expected::SignedOut.is(&answer(401, "r=; Max-Age=0"), "r"));
        assert!(!Expected::SignedOut.is(&answer(401, "r=a.b.c; Max-Age=9"), "r"));
        assert!(!Expected::SignedOut.is(&answer(500, "r=; Max-Age=0"), "r"));
    }
}
