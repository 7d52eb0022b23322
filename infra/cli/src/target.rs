//! Where a command works: on the local stack that runs in this checkout, or, if `--aws` says so, on a deployed table.

use std::fmt;

use rondo_shared::config::{Common, Reader};
use rondo_shared::identity::Client;
use rondo_shared::keyring::ProductKeys;
use rondo_shared::keyring::source::KeyringSource;
use rondo_shared::moment::Moment;
use rondo_shared::store::dynamo::{DynamoStore, Endpoint};
use sessions::products::{self, Products};

use crate::arguments::TargetArguments;
use crate::failure::Failure;
use crate::keys;
use crate::product::Product;
use crate::workspace::{LocalStack, Workspace};

/// What the tool's own writes say of their client.
const USER_AGENT: &str = concat!("rondo/", env!("CARGO_PKG_VERSION"));

/// Where the table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The local stack.
    Local(LocalStack),
    /// A table on AWS.
    Aws {
        /// Its name.
        table: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(stack) => write!(f, "{} (the local stack)", stack.endpoint),
            Self::Aws { table } => write!(f, "table {table} on AWS"),
        }
    }
}

/// A table, and what is needed to make and to verify its tokens.
#[derive(Debug)]
pub struct Target {
    place: Place,
    store: DynamoStore,
    keyring: Option<KeyringSource>,
    /// The variables that a function on this table would run with.
    reader: Reader,
}

impl Target {
    /// The target that the arguments name.
    ///
    /// # Errors
    /// [`Failure::Misused`] where they name none; [`Failure::Workspace`] where the local stack cannot be looked for.
    pub async fn find(arguments: &TargetArguments, reader: Reader) -> Result<Self, Failure> {
        match arguments {
            TargetArguments { aws: true, table: Some(table), keyring, secret } => {
                let keyring = match (keyring, secret) {
                    (Some(_), Some(_)) => {
                        return Err(Failure::Misused("name a file with --keyring or a secret, not both"));
                    }
                    (Some(path), None) => Some(KeyringSource::File(path.clone())),
                    (None, Some(id)) => Some(KeyringSource::secret(keys::secret(id, &reader)?)),
                    (None, None) => None,
                };
                Ok(Self::aws(table, keyring, reader).await)
            }
            TargetArguments { aws: true, table: None, .. } => {
                Err(Failure::Misused("--aws needs a table: name it with --table"))
            }
            TargetArguments { aws: false, table: None, keyring: None, secret: None } => {
                match Workspace::find()?.local_stack()? {
                    Some(stack) => Ok(Self::local(stack, reader).await),
                    None => Err(Failure::Misused(
                        "no local stack is running here: start one with `make dev`, or name a table with --aws --table",
                    )),
                }
            }
            TargetArguments { aws: false, .. } => {
                Err(Failure::Misused("--table, --keyring and --secret are for --aws; the local stack has its own"))
            }
        }
    }

    /// The local stack, with the settings that its functions run with.
    pub async fn local(stack: LocalStack, reader: Reader) -> Self {
        let store = DynamoStore::connect(&Endpoint::Local { url: stack.endpoint.clone() }, &stack.table).await;
        let reader = stack.settings.iter().fold(reader, |reader, (name, value)| reader.with(name, value));
        let reader = reader
            .with("TABLE_NAME", &stack.table)
            .with("AWS_ENDPOINT_URL_DYNAMODB", &stack.endpoint)
            .with("INSECURE_COOKIES", "true");
        let keyring = KeyringSource::File(stack.keyring.clone());
        Self { keyring: Some(keyring), place: Place::Local(stack), store, reader }
    }

    async fn aws(table: &str, keyring: Option<KeyringSource>, reader: Reader) -> Self {
        let store = DynamoStore::connect(&Endpoint::Person, table).await;
        let reader =
            reader.with("TABLE_NAME", table).with("AWS_ENDPOINT_URL_DYNAMODB", "").with("INSECURE_COOKIES", "false");
        Self { keyring, place: Place::Aws { table: table.to_owned() }, store, reader }
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The table.
    #[must_use]
    pub const fn store(&self) -> &DynamoStore {
        &self.store
    }

    /// What this tool's writes say of their client: no address, and the tool's name.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(None, USER_AGENT)
    }

    /// Every product that the keyring has keys for, with what its settings are by the variables that its function reads
    /// them from.
    ///
    /// # Errors
    /// [`Failure::Config`] naming every bad variable; as [`Target::keys`] where there are no keys.
    pub async fn products(&self) -> Result<Products, Failure> {
        let mut keyring = self.keyring()?.clone();
        keyring.read_ahead().await?;
        // The keyring is named by this type itself; the variable has to be there for the function's sake alone.
        let mut reader = self.reader.clone().with("KEYRING_FILE", "given by --keyring").with("KEYRING_SECRET_ID", "");
        let common = Common::read(&mut reader);
        let terms = products::all(&mut reader, &common);
        reader.finish()?;
        Ok(Products::open(terms, &keyring, Moment::read()?.now)?)
    }

    /// A product's keys.
    ///
    /// # Errors
    /// [`Failure::Misused`] where no keyring was named, [`Failure::Keyring`] where it is of no use.
    pub async fn keys(&self, product: Product) -> Result<ProductKeys, Failure> {
        Ok(ProductKeys::parse(self.keyring()?.read().await?.as_str(), product.name())?)
    }

    fn keyring(&self) -> Result<&KeyringSource, Failure> {
        let keyring = self.keyring.as_ref();
        keyring.ok_or(Failure::Misused("this needs the product's keys: name the keyring with --keyring or --secret"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(arguments: TargetArguments) -> String {
        let reader = Reader::new::<String, String>([]);
        let failure = Target::find(&arguments, reader).await.unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        failure.to_string()
    }

    #[tokio::test]
    async fn a_table_on_aws_is_named_outright() {
        let only = TargetArguments { aws: true, ..TargetArguments::default() };
        assert!(refused(only).await.contains("--table"));
        let without = TargetArguments { table: Some("rondo".to_owned()), ..TargetArguments::default() };
        assert!(refused(without).await.contains("--aws"));
    }
}
