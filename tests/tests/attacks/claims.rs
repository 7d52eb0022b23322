//! Claims that are missing, of the wrong kind, given twice, endless or nested: though we had signed them ourselves.

use rondo_tests::{T0, secs};
use serde_json::{Value, json};

use super::{Stage, TENANTS, changed, named, on_every_product, part};

/// RFC 8725 §3.3: whatever is signed is still to be what a token is made of.
#[tokio::test]
async fn no_token_is_good_that_lacks_a_claim_or_has_one_of_another_kind() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let mut tokens = Vec::new();
        for claim in ["iss", "aud", "sub", "exp", "iat", "jti", "sid", "gen", "gid", "ten", "session_exp"] {
            tokens.push((format!("no {claim}"), target.with_claims(&json!({claim: null}))));
            for odd in [json!([]), json!({}), json!(true), json!([target.claims()[claim]])] {
                tokens.push((format!("{claim}: {odd}"), target.with_claims(&json!({claim: odd}))));
            }
        }
        for claim in ["iss", "aud", "sub", "jti", "sid", "gid", "ten"] {
            tokens.push((format!("{claim} is a number"), target.with_claims(&json!({claim: 7}))));
        }
        for (claim, empty) in [("iss", ""), ("aud", ""), ("sub", ""), ("sid", ""), ("ten", "")] {
            tokens.push((format!("{claim} is empty"), target.with_claims(&json!({claim: empty}))));
        }
        tokens
    })
    .await;
}

/// RFC 8725 §3.8 and §3.9: the issuer and the audience are compared whole.
#[tokio::test]
async fn no_other_issuer_or_audience_counts_however_alike() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let mut tokens = Vec::new();
        for claim in ["iss", "aud", "ten"] {
            let own = target.claims()[claim].as_str().unwrap().to_owned();
            let alike = [
                own.to_uppercase(),
                format!("{own} "),
                format!(" {own}"),
                format!("{own}/"),
                format!("{own}\u{0}"),
                format!("{own}.attacker.example"),
                own[..own.len() - 1].to_owned(),
                "*".to_owned(),
                own.replacen('e', "\u{435}", 1) + "x",
            ];
            let other = alike.into_iter().filter(|alike| *alike != own);
            tokens
                .extend(other.map(|alike| (format!("{claim} {alike:?}"), target.with_claims(&json!({claim: alike})))));
        }
        tokens
    })
    .await;
}

/// RFC 7519 §4.1.4, §4.1.5 and §2 (NumericDate): times that are no whole numbers, out of all bounds, past or yet to come.
#[tokio::test]
async fn no_token_is_good_whose_times_are_odd_or_over() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let ahead = T0.secs() + 3_600;
        let texts = [
            format!("{ahead}.5"),
            format!("{ahead}e0"),
            "1e300".to_owned(),
            "-1".to_owned(),
            "0".to_owned(),
            "-9223372036854775808".to_owned(),
            "9223372036854775808".to_owned(),
            "18446744073709551616".to_owned(),
            format!("\"{ahead}\""),
            "\"never\"".to_owned(),
            "null".to_owned(),
            format!("[{ahead}]"),
            T0.secs().to_string(),
        ];
        let replaced = |claim: &str, with: &str| {
            let claims = changed(target.claims(), &json!({claim: "<here>"})).to_string().replace("\"<here>\"", with);
            target.stage.made(target.tenant, &target.header().to_string(), &claims)
        };
        let mut tokens: Vec<_> = texts.iter().map(|text| (format!("exp {text}"), replaced("exp", text))).collect();
        for text in [&ahead.to_string(), "9223372036854775807", "1.5", "\"1\"", "true", "9223372036854775808"] {
            tokens.push((format!("nbf {text}"), replaced("nbf", text)));
        }
        for text in ["1.5", "\"1\"", "9223372036854775808"] {
            tokens.push((format!("iat {text}"), replaced("iat", text)));
        }
        for text in ["-1", "1.0", "1e0", "4294967295", "4294967296", "18446744073709551616", "\"3\""] {
            tokens.push((format!("gen {text}"), replaced("gen", text)));
        }
        tokens
    })
    .await;
}

/// An expiry at the end of all numbers is far ahead: the arithmetic of times saturates and does not wrap. And `iat` lies
/// ahead where another instance's clock is: it decides nothing.
#[tokio::test]
async fn the_last_expiry_there_is_does_not_wrap_and_the_time_of_issue_decides_nothing() {
    let stage = Stage::new().await;
    for tenant in TENANTS {
        let good = stage.open(tenant).await;
        for changes in [json!({"exp": i64::MAX}), json!({"iat": secs(3_600).secs()}), json!({"iat": i64::MIN})] {
            let claims = changed(part(&good, 1), &changes);
            let token = stage.made(tenant, &part(&good, 0).to_string(), &claims.to_string());
            assert_eq!(stage.present(tenant, &token).await.status, 200, "{tenant}: {changes}");
        }
    }
}

/// RFC 7519 §4 and RFC 7515 §4: of a member that is given twice the last counts, or nothing does: never the one for the
/// check and the other for the use.
#[tokio::test]
async fn a_member_that_is_given_twice_counts_once() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let twice = |object: &Value, member: &str| {
            let text = object.to_string();
            format!("{},{member}}}", &text[..text.len() - 1])
        };
        let (header, claims) = (target.header(), target.claims());
        let made = |header: &str, claims: &str| target.stage.made(target.tenant, header, claims);
        let mut tokens = Vec::new();
        for member in [r#""alg":"none""#, r#""kid":"other""#, r#""typ":"JWT""#, r#""alg":"HS256""#, r#""kid":"m1""#] {
            tokens.push((format!("header and {member}"), made(&twice(&header, member), &claims.to_string())));
        }
        for member in [
            r#""exp":1"#,
            r#""iss":"elsewhere""#,
            r#""aud":"elsewhere""#,
            r#""ten":"elsewhere""#,
            r#""nbf":99999999999"#,
            r#""gen":-1"#,
        ] {
            tokens.push((format!("claims and {member}"), made(&header.to_string(), &twice(&claims, member))));
        }
        tokens
    })
    .await;
}

/// RFC 7519 §5.2 and appendix A.2: a token within a token, and what is no object at all.
#[tokio::test]
async fn no_token_is_good_whose_claims_are_no_object() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let header = target.header().to_string();
        let nested_header = changed(target.header(), &json!({"cty": "JWT"})).to_string();
        let made = |header: &str, claims: &str| target.stage.made(target.tenant, header, claims);
        let claims = target.claims().to_string();
        named([
            ("a token in a token", made(&nested_header, &target.good)),
            ("a token in a token, as text", made(&nested_header, &json!(target.good).to_string())),
            ("an array of the claims", made(&header, &format!("[{claims}]"))),
            ("two objects", made(&header, &format!("{claims}{claims}"))),
            ("a byte order mark", made(&header, &format!("\u{feff}{claims}"))),
            ("no end", made(&header, &claims[..claims.len() - 1])),
            ("nothing", made(&header, "")),
            ("null", made(&header, "null")),
            ("single quotes", made(&header, &claims.replace('"', "'"))),
            ("a header in an array", made(&format!("[{header}]"), &claims)),
        ])
    })
    .await;
}

/// Claims without end: what is longer than any token of ours is not decoded, and what is nested is not followed for ever.
#[tokio::test]
async fn no_endless_token_is_looked_at() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let with = |member: &str| {
            let claims = target.claims().to_string();
            let claims = format!("{},\"more\":{member}}}", &claims[..claims.len() - 1]);
            target.stage.made(target.tenant, &target.header().to_string(), &claims)
        };
        named([
            ("a claim of 4 kB", with(&json!("x".repeat(4_096)).to_string())),
            ("a claim of 6 kB", with(&json!("x".repeat(6_000)).to_string())),
            ("1,000 deep", with(&deep(1_000))),
            ("200 deep", with(&deep(200))),
            ("a user of 129 bytes", target.with_claims(&json!({"sub": "u".repeat(129)}))),
            ("an organization of 1 kB", target.with_claims(&json!({"org": "o".repeat(1_000)}))),
            ("a tenant of 81 bytes", target.with_claims(&json!({"ten": "t".repeat(81)}))),
        ])
    })
    .await;
}

/// RFC 7515 §4.1.11 and RFC 8725 §3.10: an extension that must be understood, and is not, makes a token no good.
#[tokio::test]
async fn no_token_is_good_that_demands_what_we_do_not_understand() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let demands = [
            json!({"crit": ["exp"], "exp": 1}),
            json!({"crit": ["b64"], "b64": false}),
            json!({"crit": ["http://example.com/UNDEFINED"], "http://example.com/UNDEFINED": true}),
            json!({"crit": []}),
            json!({"crit": "exp"}),
        ];
        named(demands.iter().map(|demand| (demand, target.with_header(demand))))
    })
    .await;
}
