//! From a cold start to answers: boot once, then for each event read the clock and hand both over. A function that could
//! not start answers all the same, with its product's own failure and a log line of that name, so that clients keep
//! their tokens; where it lacks usable keys, which may come, it tries again.
//!
//! This is the edge: nothing below reads a clock or draws randomness.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lambda_http::lambda_runtime;
use lambda_http::{Body, Request, Response};
use ulid::Ulid;

use crate::config::ConfigError;
use crate::keyring::KeyringError;
use crate::log::LogLine;
use crate::moment::{Moment, NoEntropy, Timestamp};
use crate::store::Usage;
use crate::wire;

/// How often a function that could not start tries again, at most: a client that comes back in a second is served, and
/// a flood of requests costs one reading of the keyring a second.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Why a function cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// Variables are missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There are no keys.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// A reason for which a function cannot serve.
pub trait Obstacle: Clone + std::error::Error + Send + Sync + 'static {
    /// Whether booting again may help. Settings stay wrong until somebody deploys others.
    fn may_pass(&self) -> bool;
}

impl Obstacle for BootError {
    fn may_pass(&self) -> bool {
        match self {
            // Keys can be made and mended without a deployment.
            Self::Keyring(_) => true,
            Self::Config(_) => false,
        }
    }
}

/// Why a request is answered without its function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotServing<E> {
    /// The function could not start.
    NotStarted(E),
    /// Not even the request's name could be drawn.
    WithoutRandomness,
}

/// Runs a function: boots it, and answers each event by `handle` or, where it could not start, by `not_started`.
///
/// # Errors
/// Where the Lambda runtime cannot be reached or goes away.
pub async fn run<A, E, B, BF, H, HF, N>(
    product: &'static str,
    boot: B,
    handle: H,
    not_started: N,
) -> Result<(), lambda_runtime::Error>
where
    A: Send + Sync + 'static,
    E: Obstacle,
    B: Fn() -> BF + Send + Sync + 'static,
    BF: Future<Output = Result<A, E>> + Send + 'static,
    H: Fn(Arc<A>, Moment, Request) -> HF + Send + Sync + 'static,
    HF: Future<Output = (Response<Body>, LogLine)> + Send + 'static,
    N: Fn(&NotServing<E>, &Request, Ulid) -> Response<Body> + Send + Sync + 'static,
{
    let now = Moment::read().map_or(Timestamp::from_millis(0), |moment| moment.now);
    let function = Arc::new(Function { product, handle, not_started, instance: Instance::start(boot, now).await });
    wire::serve(move |request| {
        let function = Arc::clone(&function);
        async move {
            let started = Instant::now();
            let (response, line) = function.answer(Moment::read(), request).await;
            line.emit(started.elapsed());
            response
        }
    })
    .await
}

/// A function with what it answers by.
struct Function<A, E, B, H, N> {
    product: &'static str,
    instance: Instance<A, E, B>,
    handle: H,
    not_started: N,
}

impl<A, E, B, BF, H, HF, N> Function<A, E, B, H, N>
where
    E: Obstacle,
    B: Fn() -> BF,
    BF: Future<Output = Result<A, E>>,
    H: Fn(Arc<A>, Moment, Request) -> HF,
    HF: Future<Output = (Response<Body>, LogLine)>,
    N: Fn(&NotServing<E>, &Request, Ulid) -> Response<Body>,
{
    async fn answer(&self, moment: Result<Moment, NoEntropy>, request: Request) -> (Response<Body>, LogLine) {
        let (why, cause, error, request_id) = match moment {
            Ok(moment) => match self.instance.app(moment.now).await {
                Ok(app) => return (self.handle)(app, moment, request).await,
                Err(error) => {
                    let text = error.to_string();
                    (NotServing::NotStarted(error), "not_started", text, moment.request_id)
                }
            },
            Err(error) => (NotServing::WithoutRandomness, "randomness", error.to_string(), Ulid::nil()),
        };
        let response = (self.not_started)(&why, &request, request_id);
        let line = LogLine {
            request_id,
            product: self.product,
            outcome: "failed",
            cause: Some(cause),
            error: Some(error),
            status: response.status().as_u16(),
            family: None,
            generation: None,
            caller: None,
            another_client: false,
            usage: Usage::default(),
        };
        (response, line)
    }
}

/// A function that has started, or that has not yet.
struct Instance<A, E, B> {
    boot: B,
    state: Mutex<State<A, E>>,
}

struct State<A, E> {
    booted: Result<Arc<A>, E>,
    attempted_at: Timestamp,
}

impl<A, E, B, BF> Instance<A, E, B>
where
    E: Obstacle,
    B: Fn() -> BF,
    BF: Future<Output = Result<A, E>>,
{
    async fn start(boot: B, now: Timestamp) -> Self {
        let booted = attempt(&boot).await;
        Self { boot, state: Mutex::new(State { booted, attempted_at: now }) }
    }

    /// The function, booted again first if it could not start and that may have passed. One request at a time does so;
    /// others are told meanwhile why the last attempt failed.
    async fn app(&self, now: Timestamp) -> Result<Arc<A>, E> {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match &state.booted {
                Ok(app) => return Ok(Arc::clone(app)),
                Err(error) if !error.may_pass() || !is_due(state.attempted_at, now) => return Err(error.clone()),
                Err(_) => state.attempted_at = now,
            }
        }
        let booted = attempt(&self.boot).await;
        self.state.lock().unwrap_or_else(PoisonError::into_inner).booted.clone_from(&booted);
        booted
    }
}

/// After the interval, and at once where the clock has been set back.
fn is_due(attempted_at: Timestamp, now: Timestamp) -> bool {
    now < attempted_at || now.since(attempted_at) >= RETRY_INTERVAL
}

async fn attempt<A, E, B, BF>(boot: &B) -> Result<Arc<A>, E>
where
    E: Obstacle,
    B: Fn() -> BF,
    BF: Future<Output = Result<A, E>>,
{
    boot().await.map(Arc::new).inspect_err(|error| {
        if error.may_pass() {
            tracing::error!(%error, "the function cannot serve, and tries again at the next requests");
        } else {
            tracing::error!(%error, "the function cannot serve: mend its configuration and deploy again");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Reader;
    use lambda_http::http::StatusCode;
    use std::future::{Ready, ready};
    use std::sync::atomic::{AtomicU32, Ordering};

    fn at(millis: i64) -> Moment {
        Moment::from_parts(Timestamp::from_millis(millis), &[7; 80])
    }

    fn unreadable() -> BootError {
        KeyringError::Unreadable("keyring.json: not found".to_owned()).into()
    }

    fn line_of(product: &'static str, moment: &Moment) -> LogLine {
        LogLine {
            request_id: moment.request_id,
            product,
            outcome: "served",
            cause: None,
            error: None,
            status: 200,
            family: None,
            generation: None,
            caller: None,
            another_client: false,
            usage: Usage::default(),
        }
    }

    /// Answers 200 once it has started, which it does after as many attempts as have failed.
    async fn answers(failures: &[BootError], millis: &[i64]) -> (Vec<u16>, u32, Vec<LogLine>) {
        let attempts = Arc::new(AtomicU32::new(0));
        let (counted, failures) = (Arc::clone(&attempts), failures.to_vec());
        let boot = move || {
            let n = usize::try_from(counted.fetch_add(1, Ordering::Relaxed)).unwrap();
            ready(failures.get(n).cloned().map_or(Ok(()), Err))
        };
        let handle = |_: Arc<()>, moment: Moment, _: Request| -> Ready<(Response<Body>, LogLine)> {
            ready((Response::new(Body::Empty), line_of("p", &moment)))
        };
        let not_started = |_: &NotServing<BootError>, _: &Request, _: Ulid| {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            response
        };
        let instance = Instance::start(boot, Timestamp::from_millis(0)).await;
        let function = Function { product: "p", instance, handle, not_started };
        let (mut statuses, mut lines) = (Vec::new(), Vec::new());
        for millis in millis {
            let (response, line) = function.answer(Ok(at(*millis)), Request::default()).await;
            statuses.push(response.status().as_u16());
            lines.push(line);
        }
        (statuses, attempts.load(Ordering::Relaxed), lines)
    }

    #[tokio::test]
    async fn a_function_whose_keyring_could_not_be_read_starts_once_it_can_be() {
        let (statuses, attempts, _) = answers(&[unreadable()], &[0, 999, 1_000, 1_001]).await;
        assert_eq!((statuses, attempts), (vec![418, 418, 200, 200], 2));
    }

    #[tokio::test]
    async fn it_tries_again_once_a_second_at_most_whatever_comes() {
        let failures = vec![unreadable(); 9];
        let (statuses, attempts, _) = answers(&failures, &[1, 500, 1_000, 1_500, 1_999, 2_000, 2_001]).await;
        assert_eq!((statuses, attempts), (vec![418; 7], 3));
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_keeps_nobody_waiting() {
        let (statuses, ..) = answers(&[unreadable(), unreadable()], &[5_000, 4_000]).await;
        assert_eq!(statuses, [418, 200]);
    }

    #[tokio::test]
    async fn settings_that_are_wrong_are_not_tried_again() {
        let mut reader = Reader::new::<String, String>([]);
        reader.required("TABLE_NAME");
        let wrong: BootError = reader.finish().unwrap_err().into();
        let (statuses, attempts, _) = answers(&[wrong], &[0, 10_000]).await;
        assert_eq!((statuses, attempts), (vec![418, 418], 1));
    }

    #[tokio::test]
    async fn keys_that_are_made_or_mended_later_are_found_without_a_deployment() {
        for error in [KeyringError::NoKeys("p".to_owned()), KeyringError::Invalid("no JSON".to_owned())] {
            let (statuses, attempts, _) = answers(&[error.into()], &[0, 10_000]).await;
            assert_eq!((statuses, attempts), (vec![418, 200], 2));
        }
    }

    #[tokio::test]
    async fn an_answer_without_its_function_has_a_log_line_of_its_name_that_says_why() {
        let (_, _, lines) = answers(&[unreadable()], &[5]).await;
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(line.request_id, at(5).request_id);
        assert_eq!((line.product, line.status, line.outcome, line.cause), ("p", 418, "failed", Some("not_started")));
        assert!(line.error.as_ref().is_some_and(|error| error.contains("keyring.json: not found")), "{line:?}");
    }
}
