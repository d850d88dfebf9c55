//! Every combination of policy, headers and upstream, against the rules written a second time.

use super::*;

const RELAY: &str = "relay-key-0123456789";
const OWN: &str = "sk-ant-own-0123456789";

/// What stands in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Relay,
    Own,
    Placeholder,
}

const SENT: [Sent; 4] = [Sent::Nothing, Sent::Relay, Sent::Own, Sent::Placeholder];

impl Sent {
    fn text(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Relay => Some(RELAY),
            Self::Own => Some(OWN),
            Self::Placeholder => Some(PLACEHOLDER),
        }
    }
}

fn headers(api_key: Sent, bearer: Sent) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(text) = api_key.text() {
        headers.insert(X_API_KEY, HeaderValue::from_static(text));
    }
    if let Some(text) = bearer.text() {
        headers.insert(AUTHORIZATION, format!("Bearer {text}").parse().unwrap());
    }
    headers
}

fn policy(header: Option<CredentialHeader>, allow_subscription: bool) -> AuthPolicy {
    let digest = Secret::new(RELAY).digest();
    let clients = header.map(|header| Client {
        name: "laptop".into(),
        digest,
        header,
    });
    AuthPolicy {
        clients: clients.into_iter().collect(),
        allow_subscription,
    }
}

/// What must happen, said in the fewest words: by whose credential the upstream is asked.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Refused,
    Own { api_key: bool, authorization: bool },
    Relay,
}

/// The rules, written a second time and the other way round: from the outcome to its condition.
fn expected(
    header: Option<CredentialHeader>,
    allow_subscription: bool,
    sent: (Sent, Sent),
    upstream: (bool, bool),
) -> Expected {
    let (api_key, bearer) = sent;
    let (accepts_client, has_key) = upstream;
    let relay_in_key = api_key == Sent::Relay
        && matches!(
            header,
            Some(CredentialHeader::Any | CredentialHeader::ApiKey)
        );
    let relay_in_bearer = bearer == Sent::Relay
        && matches!(
            header,
            Some(CredentialHeader::Any | CredentialHeader::Bearer)
        );
    let known = relay_in_key || relay_in_bearer;
    // Without a client key configured, the text of one is a credential like any other.
    let foreign = |sent: Sent| sent == Sent::Own || (sent == Sent::Relay && header.is_none());
    let transparent = header.is_none() || allow_subscription;
    let own = (
        foreign(api_key) && transparent,
        foreign(bearer) && transparent,
    );
    let brings_own = own.0 || own.1;
    if header.is_some() && !known && !brings_own {
        return Expected::Refused;
    }
    if brings_own && accepts_client {
        return Expected::Own {
            api_key: own.0,
            authorization: own.1,
        };
    }
    if has_key && (header.is_none() || known) {
        return Expected::Relay;
    }
    Expected::Refused
}

#[test]
fn every_combination_of_policy_header_and_upstream() {
    let policies = [
        None,
        Some(CredentialHeader::Any),
        Some(CredentialHeader::ApiKey),
        Some(CredentialHeader::Bearer),
    ];
    let mut rows = 0;
    for header in policies {
        for allow_subscription in [false, true] {
            for api_key in SENT {
                for bearer in SENT {
                    for upstream in [(false, false), (false, true), (true, false), (true, true)] {
                        let policy = policy(header, allow_subscription);
                        let key = UpstreamCredential::Relay(Secret::new("sk-upstream"));
                        let got = admit(&policy, &headers(api_key, bearer)).and_then(|admission| {
                            for_upstream(&admission, upstream.0, upstream.1.then_some(&key))
                        });
                        let got = match got {
                            Err(_) => Expected::Refused,
                            Ok(UpstreamCredential::Relay(_)) => Expected::Relay,
                            Ok(
                                UpstreamCredential::Issued(_)
                                | UpstreamCredential::Identity(_)
                                | UpstreamCredential::Nothing,
                            ) => panic!("there is nothing but a key"),
                            Ok(UpstreamCredential::Client(own)) => Expected::Own {
                                api_key: own.api_key,
                                authorization: own.authorization,
                            },
                        };
                        let want =
                            expected(header, allow_subscription, (api_key, bearer), upstream);
                        assert_eq!(
                            got, want,
                            "{header:?} {allow_subscription} {api_key:?} {bearer:?} {upstream:?}"
                        );
                        rows += 1;
                    }
                }
            }
        }
    }
    assert_eq!(rows, 4 * 2 * 4 * 4 * 4);
}

#[test]
fn the_relays_own_key_is_never_the_clients_own() {
    let policy = policy(Some(CredentialHeader::Any), true);
    for (api_key, bearer) in [
        (Sent::Relay, Sent::Relay),
        (Sent::Relay, Sent::Own),
        (Sent::Own, Sent::Relay),
    ] {
        let own = admit(&policy, &headers(api_key, bearer)).unwrap().own;
        assert_eq!(own.api_key, api_key == Sent::Own);
        assert_eq!(own.authorization, bearer == Sent::Own);
    }
}

#[test]
fn reasons_are_told_apart() {
    let closed = policy(Some(CredentialHeader::Any), false);
    assert_eq!(
        admit(&closed, &HeaderMap::new()),
        Err(Unauthenticated::Missing)
    );
    assert_eq!(
        admit(&closed, &headers(Sent::Own, Sent::Nothing)),
        Err(Unauthenticated::Wrong)
    );
    let mut twice = headers(Sent::Relay, Sent::Nothing);
    twice.append(X_API_KEY, HeaderValue::from_static("other"));
    assert_eq!(admit(&closed, &twice), Err(Unauthenticated::Repeated));
}

#[test]
fn the_client_is_named() {
    let admission = admit(
        &policy(Some(CredentialHeader::Any), false),
        &headers(Sent::Nothing, Sent::Relay),
    );
    assert_eq!(admission.unwrap().client.as_deref(), Some("laptop"));
}

#[test]
fn another_scheme_is_the_clients_own() {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic dXNlcg=="));
    let admission = admit(&AuthPolicy::default(), &headers).unwrap();
    assert!(admission.own.authorization);
}
