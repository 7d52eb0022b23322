//! Headers and claims that are good once they are unpacked or read in another encoding: though we had signed them ourselves.

use serde_json::json;

use super::{Stage, changed, named, on_every_product};

/// RFC 8725 §3.6: what is compressed is not unpacked, whatever the header says of it. `zip` is a member of encrypted tokens
/// alone (RFC 7516 §4.1.3).
#[tokio::test]
async fn no_token_is_unpacked() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let claims = target.claims().to_string();
        let mut tokens = Vec::new();
        for (what, packed) in [("DEFLATE", deflated(&claims)), ("zlib", zlib(&claims)), ("gzip", gzip(&claims))] {
            for zip in [json!("DEF"), json!("GZIP"), json!(null)] {
                let header = changed(target.header(), &json!({"zip": zip})).to_string();
                tokens.push((
                    format!("{what}, zip: {zip}"),
                    target.stage.made_of(target.tenant, header.as_bytes(), &packed),
                ));
            }
        }
        let packed_header = deflated(&target.header().to_string());
        tokens.push((
            "a packed header".to_owned(),
            target.stage.made_of(target.tenant, &packed_header, claims.as_bytes()),
        ));
        tokens
    })
    .await;
}

/// RFC 1951 §3.2.4: one block, as it is.
fn deflated(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [[1].as_slice(), &length.to_le_bytes(), &(!length).to_le_bytes(), text.as_bytes()].concat()
}

/// RFC 1950 §2.2.
fn zlib(text: &str) -> Vec<u8> {
    let (a, b) = text.bytes().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (a + b) % 65_521)
    });
    [[0x78, 0x01].as_slice(), &deflated(text), &(b << 16 | a).to_be_bytes()].concat()
}

/// RFC 1952 §2.3.
fn gzip(text: &str) -> Vec<u8> {
    let crc = !text.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    let length = u32::try_from(text.len()).unwrap();
    let start = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    [start.as_slice(), &deflated(text), &crc.to_le_bytes(), &length.to_le_bytes()].concat()
}

/// RFC 8725 §3.7: header and claims are UTF-8, whole: no byte that is none, and no other encoding that says the same.
#[tokio::test]
async fn no_token_is_good_that_is_not_utf_8() {
    let stage = Stage::new().await;
    on_every_product(&stage, |target| {
        let (header, claims) = (target.header().to_string(), target.claims().to_string());
        let made = |header: &[u8], claims: &[u8]| target.stage.made_of(target.tenant, header, claims);
        let mut tokens = Vec::new();
        let invalid: [(&str, &[u8]); 7] = [
            ("a byte that never is", b"\xff"),
            ("a continuation alone", b"\x80"),
            ("a sequence cut short", b"\xc3"),
            ("a slash in two bytes", b"\xc0\xaf"),
            ("a zero in two bytes", b"\xc0\x80"),
            ("half a surrogate pair", b"\xed\xa0\x80"),
            ("beyond the last character", b"\xf4\x90\x80\x80"),
        ];
        for (what, bytes) in invalid {
            // In a member that nobody asks for, and in one that counts.
            for (place, before, after) in [("a member more", "{", "\","), ("a member", "\":\"", "")] {
                let with = |object: &str| {
                    let at = object.find(before).unwrap() + before.len();
                    let opening: &[u8] = if after.is_empty() { b"" } else { b"\"more\":\"" };
                    let (head, tail) = object.as_bytes().split_at(at);
                    [head, opening, bytes, after.as_bytes(), tail].concat()
                };
                tokens.push((format!("the header: {what} in {place}"), made(&with(&header), claims.as_bytes())));
                tokens.push((format!("the claims: {what} in {place}"), made(header.as_bytes(), &with(&claims))));
            }
        }
        for (what, bytes) in [("UTF-16LE", 2), ("UTF-32LE", 4)] {
            for mark in ["", "\u{feff}"] {
                let wide = |text: &str| -> Vec<u8> {
                    let characters = format!("{mark}{text}");
                    characters.chars().flat_map(|c| u32::from(c).to_le_bytes()[..bytes].to_vec()).collect()
                };
                tokens.push((format!("claims in {what}{mark:?}"), made(header.as_bytes(), &wide(&claims))));
                tokens.push((format!("a header in {what}{mark:?}"), made(&wide(&header), claims.as_bytes())));
            }
        }
        named(tokens)
    })
    .await;
}
