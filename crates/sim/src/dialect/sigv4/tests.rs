//! Signatures that AWS publishes with its example key, and what must not pass.

use std::time::Duration;

use bytes::Bytes;
use http::Version;

use super::{AwsKey, Refused, Scope, hmac, verify};
use crate::grammar::hex;
use crate::record::{End, Recorded};

const KEY_ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2015-08-30T12:36:00Z, the moment of all examples.
const MOMENT: Duration = Duration::from_mins(24_015_636);
const DATE: (&str, &str) = ("x-amz-date", "20150830T123600Z");
const HOST: (&str, &str) = ("host", "example.amazonaws.com");

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Recorded {
    Recorded {
        id: 1,
        method: method.to_owned(),
        path_and_query: target.to_owned(),
        version: Version::HTTP_11,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: Bytes::from(body.to_owned()),
        body_bytes: body.len() as u64,
        connection: 1,
        tls: false,
        alpn: None,
        at: Duration::ZERO,
        digest: None,
        end: End::pending(),
    }
}

fn authorization(service: &str, signed: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={KEY_ID}/20150830/us-east-1/{service}/aws4_request, \
         SignedHeaders={signed}, Signature={signature}"
    )
}

fn judged(request: &Recorded, service: &str, keys: &[AwsKey]) -> Result<(), Refused> {
    let scope = Scope {
        region: "us-east-1",
        service,
        keys,
    };
    verify(request, &scope, MOMENT)
}

fn key() -> Vec<AwsKey> {
    vec![AwsKey::new(KEY_ID, SECRET)]
}

const VANILLA: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

#[test]
fn published_signatures_are_accepted() {
    let post = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
    let order = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
    let cases = [
        ("GET", "/", VANILLA),
        ("GET", "/example/..", VANILLA),
        ("GET", "/./", VANILLA),
        ("GET", "//", VANILLA),
        ("POST", "/", post),
        ("GET", "/?Param2=value2&Param1=value1", order),
    ];
    for (method, target, signature) in cases {
        let shown = authorization("service", "host;x-amz-date", signature);
        let request = request(method, target, &[HOST, DATE, ("authorization", &shown)], "");
        assert_eq!(
            judged(&request, "service", &key()),
            Ok(()),
            "{method} {target}"
        );
    }
}

#[test]
fn the_published_post_with_a_body_is_accepted() {
    let signature = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
    let shown = authorization("service", "content-type;host;x-amz-date", signature);
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        HOST,
        DATE,
        ("authorization", shown.as_str()),
    ];
    let good = request("POST", "/", &headers, "Param1=value1");
    assert_eq!(judged(&good, "service", &key()), Ok(()));
    let other = request("POST", "/", &headers, "Param1=value2");
    let refused = judged(&other, "service", &key()).unwrap_err();
    assert_eq!(refused.exception, "InvalidSignatureException");
}

#[test]
fn the_list_users_example_is_accepted() {
    let signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    let shown = authorization("iam", "content-type;host;x-amz-date", signature);
    let headers = [
        (
            "Content-Type",
            "application/x-www-form-urlencoded; charset=utf-8",
        ),
        ("Host", "iam.amazonaws.com"),
        ("X-Amz-Date", "20150830T123600Z"),
        ("Authorization", shown.as_str()),
    ];
    let target = "/?Action=ListUsers&Version=2010-05-08";
    assert_eq!(
        judged(&request("GET", target, &headers, ""), "iam", &key()),
        Ok(())
    );
}

#[test]
fn hmac_agrees_with_rfc_4231() {
    let long = [0xaa_u8; 131];
    assert_eq!(
        hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(
        hex(&hmac(
            &long,
            b"Test Using Larger Than Block-Size Key - Hash Key First"
        )),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
}

#[test]
fn whatever_is_off_is_refused_by_name() {
    let signed = "host;x-amz-date";
    let good = authorization("service", signed, VANILLA);
    let unsigned_host = authorization("service", "x-amz-date", VANILLA);
    let other_key = good.replace(KEY_ID, "AKIDOTHER");
    let other_region = good.replace("us-east-1", "eu-west-1");
    let other_day = good.replace("20150830", "20150831");
    let cases = [
        (
            unsigned_host.as_str(),
            DATE.1,
            "service",
            "InvalidSignatureException",
        ),
        (&other_key, DATE.1, "service", "UnrecognizedClientException"),
        (
            &other_region,
            DATE.1,
            "service",
            "InvalidSignatureException",
        ),
        (&other_day, DATE.1, "service", "InvalidSignatureException"),
        (&good, DATE.1, "bedrock", "InvalidSignatureException"),
        (
            &good,
            "20150830T124101Z",
            "service",
            "InvalidSignatureException",
        ),
        (
            &good,
            "20150830T123059Z",
            "service",
            "InvalidSignatureException",
        ),
        (&good, "yesterday", "service", "InvalidSignatureException"),
        (
            "AWS4-HMAC-SHA256 Credential=x",
            DATE.1,
            "service",
            "IncompleteSignatureException",
        ),
    ];
    for (shown, date, service, exception) in cases {
        let headers = [HOST, ("x-amz-date", date), ("authorization", shown)];
        let refused = judged(&request("GET", "/", &headers, ""), service, &key()).unwrap_err();
        assert_eq!(refused.exception, exception, "{shown} {date} {service}");
    }
}

#[test]
fn a_session_token_must_be_sent_and_be_the_right_one() {
    let shown = authorization("service", "host;x-amz-date", VANILLA);
    let headers = [HOST, DATE, ("authorization", shown.as_str())];
    let temporary = [AwsKey::new(KEY_ID, SECRET).session_token("token")];
    let refused = judged(&request("GET", "/", &headers, ""), "service", &temporary).unwrap_err();
    assert_eq!(refused.exception, "UnrecognizedClientException");

    let stray = [
        HOST,
        DATE,
        ("x-amz-security-token", "t"),
        ("authorization", shown.as_str()),
    ];
    let refused = judged(&request("GET", "/", &stray, ""), "service", &key()).unwrap_err();
    assert_eq!(refused.exception, "InvalidSignatureException");
}

#[test]
fn each_header_of_aws_must_be_signed() {
    let shown = authorization("service", "host;x-amz-date", VANILLA);
    let stray = [
        HOST,
        DATE,
        ("X-Amz-Target", "t"),
        ("authorization", shown.as_str()),
    ];
    let refused = judged(&request("GET", "/", &stray, ""), "service", &key()).unwrap_err();
    assert!(refused.message.contains("SignedHeader"), "{refused:?}");
}

#[test]
fn an_encoded_path_is_encoded_again() {
    let path = "/model/arn:aws:bedrock:us-east-1:1:inference-profile%2Fx/invoke";
    let request = request("POST", path, &[HOST, DATE], "");
    let canonical = super::canonical_request(&request, &["host"], "");
    let second = canonical.lines().nth(1).unwrap();
    assert_eq!(
        second,
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%252Fx/invoke"
    );
}
