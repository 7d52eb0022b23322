//! Settings: whatever the environment holds, a function has a policy within its bounds or an error that names a variable.

use rondo_shared::config::{ConfigError, Reader};

const SECRET: &str = "a-front-doors-secret";

/// Each line is `NAME=value`.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut variables: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
    variables.push(("FRONT_DOOR_SECRET", SECRET));
    let reader = || Reader::new(variables.iter().copied());
    named(uniqos_refresh::configure(reader()).map(|(common, policy)| {
        assert!(!format!("{common:?} {policy:?}").contains(SECRET));
        assert!(!common.table.is_empty());
    }));
    named(dreadnode_refresh::configure(reader()).map(drop));
    named(replyke_refresh::configure(reader()).map(drop));
    named(sessions::configure(reader()).map(drop));
    named(jwks::configure(reader()).map(drop));
    named(key_rotation::configure(reader()).map(drop));
    let mut of_events = reader();
    let settings = events::Settings::read(&mut of_events);
    named(of_events.finish().map(|()| assert!(!settings.bus.is_empty())));
    match elastic_refresh::configure(reader()) {
        Ok(_) | Err(elastic_refresh::BootError::NotConfigured(_)) => {}
        Err(error) => assert!(error.to_string().contains(" must "), "{error}"),
    }
}

/// Every error says of some variable what it must be.
fn named(configured: Result<(), ConfigError>) {
    if let Err(error) = configured {
        let told = error.to_string();
        assert!(told.contains(" must ") && !told.contains(SECRET), "{told}");
    }
}
