//! A keyring in Secrets Manager: the only file that names its SDK.
//!
//! Reading is one call. An edit is a compare-and-swap: the new text is put as a version of its own, which nobody reads,
//! and then the label of the current version is moved to it *from the version that was read*. Whoever edited in between
//! has moved the label, so that the later move fails, and nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::SharedHttpClient;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::operation::update_secret_version_stage::UpdateSecretVersionStageError;
use tokio::sync::OnceCell;
use ulid::Ulid;

use super::{KeyringError, KeyringText};
use crate::aws::{self, Endpoint, Patience};

/// A request makes one reading at most. It comes on top of the time that the store's part of a walk has
/// ([`WALK_TIME`](crate::store::WALK_TIME)), and both together stay well below the functions' time-out of 10 s.
const PATIENCE: Patience = Patience {
    connect: Duration::from_millis(500),
    // The service decrypts with KMS; its p99 is below a tenth of a second.
    attempt: Duration::from_millis(700),
    operation: Duration::from_millis(1_400),
    attempts_max: 2,
    initial_backoff: Duration::from_millis(30),
};

/// The label of the version that everybody reads.
const CURRENT: &str = "AWSCURRENT";
/// The label of a version that is being put in its place.
const PENDING: &str = "AWSPENDING";

/// A secret, by its name or its ARN. Clones share one connection.
#[derive(Clone, Debug)]
pub struct Secret {
    id: String,
    endpoint: Endpoint,
    client: Arc<OnceCell<Client>>,
}

/// What stands in a secret.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The version that was read; none where the secret has no current one.
    version: Option<String>,
    /// Its text; none where it has no value yet.
    pub text: Option<KeyringText>,
}

/// What became of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It is what everybody reads from now on.
    Stored,
    /// Another edit came first, and this one changed nothing.
    Superseded,
}

impl Secret {
    /// The secret; the first call connects.
    #[must_use]
    pub fn new(id: impl Into<String>, endpoint: Endpoint) -> Self {
        Self { id: id.into(), endpoint, client: Arc::default() }
    }

    /// Over a given HTTP client, at a given address: for tests that lose answers below the SDK's retries.
    #[must_use]
    pub fn over(http: SharedHttpClient, url: &str, id: impl Into<String>) -> Self {
        let client = Client::new(&aws::over(http, url, PATIENCE));
        let endpoint = Endpoint::Local { url: url.to_owned() };
        Self { id: id.into(), endpoint, client: Arc::new(OnceCell::new_with(Some(client))) }
    }

    /// Its name or ARN.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The keyring's text.
    ///
    /// # Errors
    /// [`KeyringError::Unreadable`] where there is no answer, [`KeyringError::Absent`] where there is no value yet:
    /// either may pass.
    pub async fn read(&self) -> Result<KeyringText, KeyringError> {
        let no_value = || {
            let what = "it has no value yet: `rondo keys init --secret …` gives it one";
            KeyringError::Absent(format!("secret {}: {what}", self.id))
        };
        self.standing().await?.text.ok_or_else(no_value)
    }

    /// What stands in the secret, for one who will replace it.
    ///
    /// # Errors
    /// [`KeyringError::Unreadable`] where there is no answer.
    pub async fn standing(&self) -> Result<Standing, KeyringError> {
        match self.client().await.get_secret_value().secret_id(&self.id).send().await {
            Ok(output) => {
                let text = output.secret_string.map(KeyringText::new);
                Ok(Standing { version: output.version_id, text })
            }
            Err(error)
                if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                // A secret without a value and no secret at all are answered alike; putting a value tells them apart.
                Ok(Standing { version: None, text: None })
            }
            Err(error) => Err(self.unreadable(&classify(&error))),
        }
    }

    /// Puts `text` in place of what was read, unless another edit came first. `attempt` names the new version: an SDK's
    /// retry of a put whose answer was lost is then the same put.
    ///
    /// # Errors
    /// [`KeyringError::Unreadable`] where there is no answer, or there is no such secret. What stands is then as it was,
    /// or, where the last answer was lost, as it was to be: read it again.
    pub async fn replace(&self, read: &Standing, text: &KeyringText, attempt: Ulid) -> Result<Replaced, KeyringError> {
        let client = self.client().await;
        let token = uuid_of(attempt);
        client
            .put_secret_value()
            .secret_id(&self.id)
            .client_request_token(&token)
            .secret_string(text.as_str())
            .version_stages(PENDING)
            .send()
            .await
            .map_err(|error| self.unreadable(&classify(&error)))?;
        let moved = client
            .update_secret_version_stage()
            .secret_id(&self.id)
            .version_stage(CURRENT)
            .move_to_version_id(&token)
            .set_remove_from_version_id(read.version.clone())
            .send()
            .await;
        match moved {
            Ok(_) => Ok(Replaced::Stored),
            // The label is on another version than the one that was read; or on ours, and the answer that said so was
            // lost before the SDK asked again.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateSecretVersionStageError::is_invalid_parameter_exception) =>
            {
                let stands = self.standing().await?;
                Ok(if stands.version.as_ref() == Some(&token) { Replaced::Stored } else { Replaced::Superseded })
            }
            Err(error) => Err(self.unreadable(&classify(&error))),
        }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(async || Client::new(&self.endpoint.config(PATIENCE).await)).await
    }

    fn unreadable(&self, what: &str) -> KeyringError {
        KeyringError::Unreadable(format!("secret {}: {what}", self.id))
    }
}

/// A version is named by 32 to 64 characters, so that its token is a UUID's form of the ULID's 128 bits.
fn uuid_of(attempt: Ulid) -> String {
    format!("{:032x}", u128::from(attempt))
}

/// What kind of failure an error is: its code alone. An error's `Debug` and its message may carry what was sent.
fn classify<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> String {
    match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "no connection in time".to_owned(),
        SdkError::DispatchFailure(_) => "no connection".to_owned(),
        SdkError::ServiceError(service) => match service.err().code() {
            Some("ResourceNotFoundException") => "there is no such secret (ResourceNotFoundException)".to_owned(),
            Some(code) => code.to_owned(),
            None => "an answer without a code".to_owned(),
        },
        SdkError::ConstructionFailure(_) => "the request cannot be built".to_owned(),
        SdkError::ResponseError(_) => "an answer that cannot be read".to_owned(),
        _ => "an error that the SDK does not name".to_owned(),
    }
}
