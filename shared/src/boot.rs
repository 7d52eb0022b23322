//! What a function is put together from at its cold start: settings, keys, a connection. Where that fails, it is tried
//! again at each request: keys that come later are then found by the instances that stand, and a passing failure passes.

use std::fmt::Display;
use std::sync::Arc;

use tokio::sync::OnceCell;

/// A function's application, once it is put together.
#[derive(Debug)]
pub struct Booted<A>(OnceCell<Arc<A>>);

impl<A> Default for Booted<A> {
    fn default() -> Self {
        Self(OnceCell::new())
    }
}

impl<A> Booted<A> {
    /// The application; where it does not stand yet, `boot` puts it together.
    ///
    /// # Errors
    /// That of `boot`, which is also logged: its text has to say what to do.
    pub async fn app<E, F, T>(&self, boot: F) -> Result<Arc<A>, E>
    where
        E: Display,
        F: FnOnce() -> T,
        T: Future<Output = Result<A, E>>,
    {
        let app = self.0.get_or_try_init(|| async { boot().await.map(Arc::new) }).await;
        app.map(Arc::clone).inspect_err(|error| {
            tracing::error!(%error, "the function cannot serve until this is mended");
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn what_failed_is_tried_again_and_what_stands_is_kept() {
        let (booted, boots) = (Booted::default(), AtomicU32::new(0));
        let boot = || async {
            match boots.fetch_add(1, Ordering::Relaxed) {
                0 => Err("no keys yet"),
                n => Ok(n),
            }
        };
        assert_eq!(booted.app(boot).await, Err("no keys yet"));
        assert_eq!(booted.app(boot).await.as_deref(), Ok(&1));
        assert_eq!(booted.app(boot).await.as_deref(), Ok(&1));
        assert_eq!(boots.into_inner(), 2);
    }
}
