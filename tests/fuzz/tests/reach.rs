//! That the targets reach what they are there for: a good token gets as far as the store, and another product's does not.
//! A binary of its own, since the calls are counted for the whole process.

use rondo_fuzz::{functions, target};

#[test]
fn a_good_token_reaches_the_store_of_every_refresh_function_and_anothers_does_not() {
    for (name, path, header) in [
        ("uniqos", "/v1/auth/refresh", "cookie: uniqos_refresh="),
        ("dreadnode", "/api/v1/auth/refresh", "cookie: refresh_token="),
        ("elastic", "/api/v1/users/auth/_refresh", "authorization: Bearer "),
        ("replyke", "/api/v6/p1/auth/request-new-access-token", "cookie: replyke-refresh-jwt="),
    ] {
        for shape in ["h", "r", "u", "H", "R"] {
            let send = |token: &str| {
                let before = functions::calls();
                let text = format!("{shape} POST {path} 192.0.2.1\n{header}{token}\n\n");
                target(name).unwrap()(text.as_bytes());
                functions::calls() > before
            };
            assert!(send("$T"), "{name} {shape}");
            assert!(!send("$O") && !send("$T$T") && !send(""), "{name} {shape}");
        }
    }
}
