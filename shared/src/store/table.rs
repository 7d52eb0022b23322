//! The table's definition, read from the very template that a deployment creates it with, so that the local stack and
//! the tests never run on another table than the deployed one.

use serde_json::Value as Json;

/// The nested CloudFormation template of the table.
const TEMPLATE: &str = include_str!("../../../infra/table.json");

/// What of the table a store has to be told to behave alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// The primary key's attributes, the partition key first.
    pub keys: Vec<KeyAttribute>,
    /// The attribute by which items expire.
    pub ttl_attribute: String,
}

/// One attribute of the primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttribute {
    /// Its name.
    pub attribute: String,
    /// Its DynamoDB type, `S`, `N` or `B`.
    pub attribute_type: String,
    /// Its part in the key.
    pub kind: KeyKind,
}

/// The part of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Partition key.
    Hash,
    /// Sort key.
    Range,
}

/// The template is not of the form that this module reads.
#[derive(Debug, thiserror::Error)]
#[error("infra/table.json: {0}")]
pub struct TemplateError(String);

impl TableDefinition {
    /// The definition that `infra/table.json` deploys.
    ///
    /// # Errors
    /// [`TemplateError`] where the template lacks what is read here.
    pub fn from_template() -> Result<Self, TemplateError> {
        let template: Json = serde_json::from_str(TEMPLATE).map_err(|error| TemplateError(error.to_string()))?;
        let table = "/Resources/Table/Properties";
        let list = |name: &str| {
            let pointer = format!("{table}/{name}");
            let found = template.pointer(&pointer).and_then(Json::as_array);
            found.cloned().ok_or_else(|| TemplateError(format!("{pointer} is no list")))
        };
        let text = |value: &Json, name: &str| {
            let found = value.get(name).and_then(Json::as_str).map(str::to_owned);
            found.ok_or_else(|| TemplateError(format!("{name} is missing")))
        };
        let types = list("AttributeDefinitions")?;
        let mut keys = Vec::new();
        for key in list("KeySchema")? {
            let attribute = text(&key, "AttributeName")?;
            let definition = types.iter().find(|d| d.get("AttributeName").and_then(Json::as_str) == Some(&attribute));
            let definition = definition.ok_or_else(|| TemplateError(format!("{attribute} has no type")))?;
            keys.push(KeyAttribute {
                attribute_type: text(definition, "AttributeType")?,
                kind: match text(&key, "KeyType")?.as_str() {
                    "HASH" => KeyKind::Hash,
                    "RANGE" => KeyKind::Range,
                    other => return Err(TemplateError(format!("{other} is no key type"))),
                },
                attribute,
            });
        }
        let ttl = template.pointer(&format!("{table}/TimeToLiveSpecification"));
        let ttl_attribute = text(ttl.unwrap_or(&Json::Null), "AttributeName")?;
        Ok(Self { keys, ttl_attribute })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::item::EXPIRES_AT;

    #[test]
    fn the_template_defines_the_keys_and_the_expiry_that_items_are_written_with() {
        let definition = TableDefinition::from_template().unwrap();
        let named: Vec<_> = definition.keys.iter().map(|k| (k.attribute.as_str(), k.kind)).collect();
        assert_eq!(named, [("pk", KeyKind::Hash), ("sk", KeyKind::Range)]);
        assert_eq!(definition.ttl_attribute, EXPIRES_AT);
    }
}
