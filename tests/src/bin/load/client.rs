//! One honest client, as its product's contract has it: what it sends, when it asks again, when it gives a token up.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lambda_http::{Body, Response};
use rondo_shared::identity::{Client, FamilyId};
use rondo_shared::moment::Moment;
use rondo_shared::rotation::Grace;
use rondo_shared::token::UnverifiedToken;
use rondo_tests::products::{PRODUCTS, Product};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::account::Account;
use super::town::Town;

/// How long a client waits for an answer, as the gateway does.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits at most before it asks again, the first time; then twice that, and so on, up to the second. The wait is
/// drawn from the upper half of it. Clients that all ask at the same instants keep a store that comes back from coming back;
/// the first five tries
/// still lie within a window of ten seconds. A pause that ended at 2.4 s kept a busy store overloaded.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(20);
/// Within which all refresh once more when the trouble is over.
const LAST_TURNS: Duration = Duration::from_secs(4);

/// A session as its client knows it.
pub struct Held {
    token: String,
    exp: i64,
}

impl Held {
    fn of(token: String) -> (Self, u32, String) {
        let claims = UnverifiedToken::parse(&token).unwrap().claims_unverified().unwrap();
        (Self { token, exp: claims.exp }, claims.generation, claims.gid.as_str().to_owned())
    }

    fn is_over(&self) -> bool {
        Moment::read().unwrap().now.secs() >= self.exp
    }
}

/// What an answer means to a client.
enum Said {
    /// The session goes on, by this token where the product rotates.
    Granted(Option<String>),
    /// The token is no good any more.
    Refused,
    /// Ask again, after this long at least.
    Again(Duration),
    /// Nothing that the contract knows.
    Nonsense,
}

/// Who it is.
pub struct Honest {
    product: Product,
    /// Sends its token in the body, where the product has it so.
    in_body: bool,
    user: String,
    client: Client,
    instance: usize,
    chance: fastrand::Rng,
    pub account: Account,
}

impl Honest {
    pub fn new(n: u32) -> Self {
        let number = usize::try_from(n).unwrap();
        let product = PRODUCTS[number % PRODUCTS.len()];
        // An address of its own: Replyke limits by it.
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + n);
        Self {
            product,
            in_body: n % 8 >= 4,
            user: format!("user-{n}"),
            client: Client::new(Some(address.into()), "honest"),
            instance: number,
            chance: fastrand::Rng::with_seed(n.into()),
            account: Account::new(product),
        }
    }

    /// Signs in, as the product's backend has it: until the store has said that the session stands.
    pub async fn sign_in(&mut self, town: &Town) -> Held {
        for tries in 0.. {
            let moment = Moment::read().unwrap();
            let opened =
                town.opener(self.product).open(&self.user, None, self.client.clone(), &moment, &town.client).await;
            if let Ok((family, token)) = opened {
                return self.opened(family, token);
            }
            *self.account.outcomes.entry("no session yet".to_owned()).or_default() += 1;
            elapse(self.backoff(tries)).await;
        }
        unreachable!("it tries for ever")
    }

    fn opened(&mut self, family: FamilyId, token: String) -> Held {
        let (held, number, gid) = Held::of(token);
        self.account.opened(family);
        self.account.was_told(number, gid);
        held
    }

    /// Lives until the trouble is over, and refreshes once more then.
    pub async fn live(mut self, mut held: Held, town: &Town, pause: Duration) -> Account {
        let mut over = town.over.subscribe();
        let mut wait = pause.mul_f64(self.chance.f64());
        loop {
            let calm = tokio::time::timeout(wait, over.wait_for(|over| *over)).await.is_ok();
            if calm {
                elapse(LAST_TURNS.mul_f64(self.chance.f64())).await;
            }
            let goes_on = self.turn(&mut held, town).await;
            if calm || !goes_on {
                return self.account;
            }
            wait = pause.mul_f64(0.5 + self.chance.f64());
        }
    }

    /// Refreshes, and asks until it is answered. Whether it still has a session.
    async fn turn(&mut self, held: &mut Held, town: &Town) -> bool {
        let first_asked = Instant::now();
        for tries in 0.. {
            // A browser drops the cookie, and the others read the time; Replyke's client asks until it is refused.
            if self.product != Product::Replyke && held.is_over() {
                self.over(town, first_asked);
                *held = self.sign_in(town).await;
                return true;
            }
            let wait = match self.ask(&held.token, town).await {
                Said::Granted(next) => {
                    self.account.granted += 1;
                    if let Some(next) = next {
                        let (next, number, gid) = Held::of(next);
                        self.account.was_told(number, gid);
                        *held = next;
                    }
                    return true;
                }
                Said::Refused if held.is_over() => {
                    self.over(town, first_asked);
                    *held = self.sign_in(town).await;
                    return true;
                }
                Said::Refused if self.window(town).is_some_and(|window| first_asked.elapsed() >= window) => {
                    self.account.was_late();
                    *held = self.sign_in(town).await;
                    return true;
                }
                Said::Refused | Said::Nonsense => {
                    self.account.lost += 1;
                    return false;
                }
                Said::Again(wait) => wait,
            };
            elapse(wait.max(self.backoff(tries))).await;
        }
        true
    }

    /// Its session's own time is over. A retry past the window may have ended it before.
    fn over(&mut self, town: &Town, first_asked: Instant) {
        self.account.expired += 1;
        if self.window(town).is_some_and(|window| first_asked.elapsed() >= window) {
            self.account.may_be_sealed();
        }
    }

    /// How long the contract believes a retry: the named case is a retry that comes later. Where nothing rotates there is none.
    fn window(&self, town: &Town) -> Option<Duration> {
        match town.opener(self.product).grace() {
            _ if self.product == Product::Replyke => None,
            Grace::Off => Some(Duration::ZERO),
            Grace::Window(window) | Grace::UntilSuccessorUsed { at_most: window } => Some(window),
        }
    }

    fn backoff(&mut self, tries: u32) -> Duration {
        let most = RETRY_PAUSE.saturating_mul(1 << tries.min(8)).min(RETRY_PAUSE_MAX);
        most.mul_f64(0.5 + self.chance.f64() / 2.0)
    }

    /// Asks once; Replyke's clients twice at the same time, now and then, and both must be served.
    async fn ask(&mut self, token: &str, town: &Town) -> Said {
        if self.product == Product::Replyke && self.chance.u8(..) < 64 {
            let (one, other) = (self.address(town).await, self.address(town).await);
            let event = self.event(token);
            let asked = Instant::now();
            let (one, other) = tokio::join!(send(&one, &event), send(&other, &event));
            // The worse of the two counts.
            return match (self.hear(one.as_ref(), asked), self.hear(other.as_ref(), asked)) {
                (said @ (Said::Refused | Said::Nonsense), _) | (_, said @ (Said::Refused | Said::Nonsense)) => said,
                (Said::Granted(_), said) | (said, _) => said,
            };
        }
        let (address, event, asked) = (self.address(town).await, self.event(token), Instant::now());
        let answer = send(&address, &event).await;
        self.hear(answer.as_ref(), asked)
    }

    /// Of another instance than the one before.
    async fn address(&mut self, town: &Town) -> String {
        let instances = town.instances(self.product);
        self.instance = (self.instance + 1) % instances.len();
        instances[self.instance].read().await.said.clone()
    }

    fn event(&self, token: &str) -> Value {
        if self.in_body {
            self.product.event_with_body(token, &self.client)
        } else {
            self.product.event(token, &self.client)
        }
    }

    fn hear(&mut self, answer: Option<&Value>, asked: Instant) -> Said {
        self.account.slowest = self.account.slowest.max(asked.elapsed());
        let Some(answer) = answer else {
            *self.account.outcomes.entry("no answer".to_owned()).or_default() += 1;
            return Said::Again(Duration::ZERO);
        };
        *self.account.outcomes.entry(answer["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
        match (self.product, answer["status"].as_u64().unwrap()) {
            (Product::Replyke, 200) if self.shows_access_token(answer) => Said::Granted(None),
            (Product::Uniqos | Product::Dreadnode | Product::Elastic, 200) => {
                self.product.token_of(&response(answer)).map_or(Said::Nonsense, |token| Said::Granted(Some(token)))
            }
            // What takes a token away, by each contract.
            (Product::Uniqos | Product::Elastic, 401) | (Product::Replyke, 403) => Said::Refused,
            (Product::Dreadnode, 401 | 403 | 404) => Said::Refused,
            (_, 429) => {
                let after = answer["retry_after"].as_str().and_then(|secs| secs.parse().ok());
                Said::Again(Duration::from_secs(after.unwrap_or(1)))
            }
            // Elastic's client keeps its token on any other error and asks again, as the others do.
            (_, 409 | 500..) => Said::Again(Duration::ZERO),
            _ => Said::Nonsense,
        }
    }

    fn shows_access_token(&self, answer: &Value) -> bool {
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_default();
        body["success"] == true && body["accessToken"].is_string()
    }
}

fn response(answer: &Value) -> Response<Body> {
    let mut response = Response::builder();
    for cookie in answer["cookies"].as_array().unwrap() {
        response = response.header("set-cookie", cookie.as_str().unwrap());
    }
    response.body(Body::Text(answer["body"].as_str().unwrap().to_owned())).unwrap()
}

/// Sends the event; none where the instance dies of it, was dead, or is silent for too long.
async fn send(address: &str, event: &Value) -> Option<Value> {
    let asking = async {
        let mut connection = BufReader::new(TcpStream::connect(address).await.ok()?);
        connection.get_mut().write_all(format!("{event}\n").as_bytes()).await.ok()?;
        let mut answer = String::new();
        connection.read_line(&mut answer).await.ok()?;
        serde_json::from_str(&answer).ok()
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or(None)
}

/// Lets time pass.
async fn elapse(span: Duration) {
    let _ = tokio::time::timeout(span, std::future::pending::<()>()).await;
}
