//! A Secrets Manager in this process, of one secret: the three operations that a keyring needs, as the service's
//! reference tells them, below the SDK's retries.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use rondo_shared::keyring::secret::Secret;
use serde_json::{Value, json};

/// The secret's name.
pub const SECRET: &str = "rondo-keyring";

#[derive(Clone, Debug, Default)]
struct State {
    versions: BTreeMap<String, String>,
    /// Which version has which label.
    labels: BTreeMap<String, String>,
    down: bool,
    /// Operations whose next answer is lost after they were applied.
    loses: Vec<&'static str>,
    asked: Vec<String>,
}

/// The service.
#[derive(Clone, Debug, Default)]
pub struct SecretsManager(Arc<Mutex<State>>);

impl SecretsManager {
    /// One whose secret has this value.
    #[must_use]
    pub fn holding(text: &str) -> Self {
        let service = Self::default();
        service.put_by_hand(text);
        service
    }

    /// Gives the secret another value, as a person does in the console.
    pub fn put_by_hand(&self, text: &str) {
        let mut state = self.0.lock().unwrap();
        let version = format!("by-hand-{:032}", state.versions.len());
        state.versions.insert(version.clone(), text.to_owned());
        state.labels.insert("AWSCURRENT".to_owned(), version);
    }

    /// What everybody reads.
    #[must_use]
    pub fn current(&self) -> Option<String> {
        let state = self.0.lock().unwrap();
        state.versions.get(state.labels.get("AWSCURRENT")?).cloned()
    }

    /// Answers nothing any more, or again.
    pub fn set_down(&self, down: bool) {
        self.0.lock().unwrap().down = down;
    }

    /// Loses the next answer to an operation after it was applied.
    pub fn lose_answer_to(&self, operation: &'static str) {
        self.0.lock().unwrap().loses.push(operation);
    }

    /// The operations asked for since the last call.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    /// The secret, as an instance with a connection of its own sees it.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::over(self.http(), "http://secrets.test", SECRET)
    }

    fn http(&self) -> SharedHttpClient {
        let service = self.clone();
        http_client_fn(move |_, _| SharedHttpConnector::new(service.clone()))
    }

    fn answer(&self, operation: &str, asked: &Value) -> Option<(u16, Value)> {
        let mut state = self.0.lock().unwrap();
        state.asked.push(operation.to_owned());
        if state.down {
            return None;
        }
        let before = state.clone();
        let done = match operation {
            "GetSecretValue" => state.get(),
            "PutSecretValue" => state.put(asked),
            "UpdateSecretVersionStage" => state.relabel(asked),
            other => panic!("no keyring needs {other}"),
        };
        if let Some(place) = state.loses.iter().position(|lost| *lost == operation) {
            state.loses.remove(place);
            return None;
        }
        Some(done.unwrap_or_else(|code| {
            state.versions = before.versions;
            state.labels = before.labels;
            (400, json!({"__type": code, "Message": "refused"}))
        }))
    }
}

type Answered = Result<(u16, Value), &'static str>;

impl State {
    fn get(&self) -> Answered {
        let version = self.labels.get("AWSCURRENT").ok_or("ResourceNotFoundException")?;
        Ok((200, json!({"Name": SECRET, "VersionId": version, "SecretString": self.versions[version]})))
    }

    fn put(&mut self, asked: &Value) -> Answered {
        let (version, text) = (text(asked, "ClientRequestToken"), text(asked, "SecretString"));
        assert!((32..=64).contains(&version.len()), "a token has 32 to 64 characters: {version}");
        if self.versions.get(&version).is_some_and(|standing| *standing != text) {
            return Err("ResourceExistsException");
        }
        self.versions.insert(version.clone(), text);
        for label in asked["VersionStages"].as_array().unwrap() {
            self.labels.insert(label.as_str().unwrap().to_owned(), version.clone());
        }
        // "If this operation creates the first version for the secret", it becomes the current one.
        self.labels.entry("AWSCURRENT".to_owned()).or_insert_with(|| version.clone());
        Ok((200, json!({"Name": SECRET, "VersionId": version})))
    }

    fn relabel(&mut self, asked: &Value) -> Answered {
        let (label, to) = (text(asked, "VersionStage"), text(asked, "MoveToVersionId"));
        let standing = self.labels.get(&label);
        if standing.is_some_and(|at| *at != to) && standing.map(String::as_str) != asked["RemoveFromVersionId"].as_str()
        {
            return Err("InvalidParameterException");
        }
        self.labels.insert(label, to);
        Ok((200, json!({"Name": SECRET})))
    }
}

fn text(asked: &Value, name: &str) -> String {
    asked[name].as_str().unwrap_or_else(|| panic!("{name} is missing")).to_owned()
}

impl HttpConnector for SecretsManager {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        assert_eq!(asked["SecretId"], SECRET);
        let (service, operation) = (self.clone(), operation.to_owned());
        HttpConnectorFuture::new(async move {
            // Others go on meanwhile, as over a network.
            tokio::task::yield_now().await;
            let (status, body) =
                service.answer(&operation, &asked).ok_or_else(|| ConnectorError::io("the connection broke".into()))?;
            let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()));
            response.headers_mut().insert("content-type", "application/x-amz-json-1.1");
            Ok(response)
        })
    }
}
