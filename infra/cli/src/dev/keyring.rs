//! The local stack's keyring: made once, kept in a file that only its owner may read, and its public half beside it.

use std::path::Path;

use rondo_shared::keyring::public::public_keys;
use rondo_shared::keyring::{KeyringDocument, ProductKeys};
use rondo_shared::moment::Moment;
use serde_json::json;

use crate::failure::Failure;
use crate::keys::generate;
use crate::product::Product;
use crate::workspace::{WorkspaceError, write_private};

/// Makes the keyring if there is none; keys that are there are kept, so that tokens stay good from run to run, and those
/// of products that it does not have yet are added.
///
/// # Errors
/// [`Failure::Keyring`] where the one that is there is of no use; others where none can be made.
pub fn ensure(path: &Path, products: &[Product]) -> Result<(), Failure> {
    let standing = if path.exists() { Some(KeyringDocument::parse(&read(path)?)?) } else { None };
    let has = |product: &Product| standing.as_ref().is_some_and(|ring| ring.products.contains_key(product.name()));
    let missing: Vec<Product> = products.iter().copied().filter(|product| !has(product)).collect();
    if !missing.is_empty() {
        let mut ring = generate(&missing, Moment::read()?.now)?;
        ring.products.extend(standing.into_iter().flat_map(|standing| standing.products));
        write_private(path, ring.to_text()?.as_str())?;
    }
    let document = read(path)?;
    for product in products {
        ProductKeys::parse(&document, product.name())?;
    }
    Ok(())
}

/// Writes the public keys as a JWK set (RFC 7517 §5), with which anybody can verify access tokens.
///
/// # Errors
/// [`Failure`] where the keyring cannot be read or the set cannot be written.
pub fn publish(keyring: &Path, jwks: &Path) -> Result<(), Failure> {
    let keys = public_keys(&read(keyring)?)?;
    Ok(write_private(jwks, &format!("{:#}\n", json!({"keys": keys})))?)
}

fn read(path: &Path) -> Result<String, WorkspaceError> {
    std::fs::read_to_string(path).map_err(|error| WorkspaceError::file(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_made_keyring_is_one_that_functions_accept_and_only_its_owner_reads() {
        let folder = std::env::temp_dir().join(format!("rondo-keyring-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, jwks) = (folder.join("keyring.json"), folder.join("jwks.json"));
        ensure(&path, &[Product::Uniqos]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let made = std::fs::read_to_string(&path).unwrap();
        let keys = ProductKeys::parse(&made, "uniqos").unwrap();

        ensure(&path, &[Product::Uniqos]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), made, "a keyring that is there is kept");
        publish(&path, &jwks).unwrap();
        let published: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&jwks).unwrap()).unwrap();
        assert_eq!(published["keys"][0]["kid"], keys.signing.active().kid());
        assert_eq!(published["keys"][0]["x"].as_str(), keys.signing.active().public());
        assert!(published["keys"][0].get("d").is_none());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_keyring_of_before_a_product_was_added_keeps_its_keys_and_gets_the_products() {
        let path = std::env::temp_dir().join(format!("rondo-keyring-older-{}.json", std::process::id()));
        ensure(&path, &[Product::Uniqos]).unwrap();
        let kid = |product: Product| {
            let ring = std::fs::read_to_string(&path).unwrap();
            ProductKeys::parse(&ring, product.name()).unwrap().signing.active().kid().to_owned()
        };
        let before = kid(Product::Uniqos);
        ensure(&path, <Product as clap::ValueEnum>::value_variants()).unwrap();
        assert_eq!(kid(Product::Uniqos), before);
        assert_ne!(kid(Product::Replyke), before);
        std::fs::remove_file(&path).unwrap();
    }
}
