//! Signatures that are missing, another's, or the right one written otherwise.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::BigUint;
use serde_json::json;

use super::{Stage, changed, named, on_every_product};

/// RFC 8725 §2.1 and §3.1: `"alg": "none"` in every spelling, with and without a signature; CVE-2015-9235.
#[tokio::test]
async fn no_token_is_good_without_a_signature() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let signature = target.good.rsplit_once('.').unwrap().1;
        let spellings = ["none", "None", "NONE", "nOnE", ""];
        let mut tokens = Vec::new();
        for alg in spellings {
            let header = changed(target.header(), &json!({"alg": alg}));
            tokens.push((format!("{alg:?}, no signature"), target.with_signature(&header, "")));
            tokens.push((format!("{alg:?}, the old signature"), target.with_signature(&header, signature)));
            tokens.push((format!("{alg:?}, signed"), target.with_header(&json!({"alg": alg}))));
        }
        let header = target.header();
        tokens.push(("our alg, no signature".to_owned(), target.with_signature(&header, "")));
        let no_alg = changed(header, &json!({"alg": null}));
        tokens.push(("no alg, no signature".to_owned(), target.with_signature(&no_alg, "")));
        tokens
    })
    .await;
}

/// RFC 8725 §3.3: every part is checked. A token cut short anywhere, a part left out, doubled or exchanged.
#[tokio::test]
async fn no_token_is_good_that_was_cut_or_put_together() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let good = &target.good;
        let [header, claims, signature] = <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).unwrap();
        let cuts = (1..good.len()).step_by(37).chain([good.len() - 1]).map(|at| good[..at].to_owned());
        let others = [
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!("{header}..{signature}"),
            format!(".{claims}.{signature}"),
            format!("{claims}.{header}.{signature}"),
            format!("{good}.{signature}"),
            format!("{good}."),
            format!(".{good}"),
            format!("{header}.{claims}.{signature}{signature}"),
            format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 32])),
            format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        ];
        named(cuts.chain(others).enumerate())
    })
    .await;
}

/// RFC 7515 §2 and RFC 4648 §3.5: one spelling for one token. Padding, line breaks, the other alphabet, characters that
/// lenient decoders pass over, and bits that no byte is made of.
#[tokio::test]
async fn no_token_has_a_second_spelling() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let parts: Vec<&str> = target.good.split('.').collect();
        let mut tokens = Vec::new();
        for n in 0..3 {
            let with = |part: String| {
                let mut parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
                parts[n] = part;
                parts.join(".")
            };
            let middle = parts[n].len() / 2;
            for odd in ["=", "==", "+", "/", "?", "#", "%3D", "~", "\u{e9}", "\\n", "AAAA", "A"] {
                tokens.push((format!("part {n}: {odd:?} after"), with(format!("{}{odd}", parts[n]))));
                let (before, after) = parts[n].split_at(middle);
                tokens.push((format!("part {n}: {odd:?} within"), with(format!("{before}{odd}{after}"))));
            }
            tokens.push((format!("part {n}: a space within"), with(parts[n].replacen('e', "e ", 1) + " x")));
            for last in spare_bits(parts[n]) {
                tokens.push((format!("part {n}: {last:?} at the end"), with(last)));
            }
        }
        tokens
    })
    .await;
}

/// The part with the bits set that its last character has too many.
fn spare_bits(part: &str) -> Vec<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let spare = match part.len() % 4 {
        2 => 15,
        3 => 3,
        _ => 0,
    };
    let (head, last) = part.split_at(part.len() - 1);
    let value = ALPHABET.find(last).unwrap();
    (1..=spare).map(|bits| format!("{head}{}", &ALPHABET[value + bits..=value + bits])).collect()
}

/// RFC 8032 §8.4: adding the group's order to a signature's scalar gives another that naive verifiers take.
#[tokio::test]
async fn an_ed25519_signature_is_not_malleable() {
    let stage = Stage::new().await;
    let good = stage.open("elastic").await;
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let order = "7237005577332262213973186563042994240857116359379907606001950938285454250989";
    let scalar = BigUint::from_bytes_le(&signature[32..]) + order.parse::<BigUint>().unwrap();
    let mut malleated = scalar.to_bytes_le();
    assert!(malleated.len() <= 32);
    malleated.resize(32, 0);
    let other = URL_SAFE_NO_PAD.encode([&signature[..32], &malleated].concat());
    let answer = stage.present("elastic", &format!("{signed}.{other}")).await;
    answer.assert_refused("the scalar plus the order");
    assert_eq!(stage.present("elastic", &good).await.status, 200);
}
