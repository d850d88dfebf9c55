//! Form-encoded pairs (WHATWG URL, `application/x-www-form-urlencoded`). In: text; out: pairs. Must
//! never fail: what is not well-formed stays as it is.

/// Returns the first value of this name.
pub(super) fn value(pairs: &str, name: &str) -> Option<String> {
    pairs.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (decoded(key) == name).then(|| decoded(value))
    })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.clone().take(2).copied().collect();
                let hex = std::str::from_utf8(&digits).ok().filter(|it| it.len() == 2);
                match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(value) => {
                        bytes.push(value);
                        rest.nth(1);
                    }
                    None => bytes.push(b'%'),
                }
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let form = "a=1&scope=https%3A%2F%2Fai.azure.com%2F.default+x&b=%zz&c=%4";
        assert_eq!(value(form, "a").as_deref(), Some("1"));
        assert_eq!(
            value(form, "scope").as_deref(),
            Some("https://ai.azure.com/.default x")
        );
        assert_eq!(value(form, "b").as_deref(), Some("%zz"));
        assert_eq!(value(form, "c").as_deref(), Some("%4"));
        assert_eq!(value(form, "d"), None);
    }
}
