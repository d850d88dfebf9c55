//! `docs/management-api.md` says what the proto says: its second half is made of it.
//!
//! `CC_RELAY_WRITE_DOCS=1 cargo test -p relay-api --test reference` writes it anew.

#![cfg(test)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// What stands above is written by hand.
const MARK: &str = "<!-- From here on: made of proto/relay/v1/relay.proto by `CC_RELAY_WRITE_DOCS=1 cargo test -p relay-api --test reference`. -->\n";

struct Proto {
    file: FileDescriptorProto,
    /// Comments by the path of what they stand above.
    comments: HashMap<Vec<i32>, String>,
}

impl Proto {
    fn read() -> Self {
        let set = FileDescriptorSet::decode(relay_api::v1::DESCRIPTORS).unwrap();
        let file = set
            .file
            .into_iter()
            .find(|it| it.package() == "relay.v1")
            .unwrap();
        let places = file.source_code_info.clone().unwrap().location;
        let comments = places.into_iter().filter_map(|place| {
            let text = place.leading_comments?;
            let words: Vec<&str> = text.lines().map(str::trim).collect();
            Some((place.path, words.join(" ").trim().to_owned()))
        });
        Self {
            comments: comments.collect(),
            file,
        }
    }

    #[track_caller]
    fn says(&self, path: &[i32]) -> &str {
        let says = self.comments.get(path);
        says.unwrap_or_else(|| panic!("{path:?} is not documented"))
    }

    fn render(&self) -> String {
        let mut out = String::from("\n## Calls\n\n| call | what it does |\n|---|---|\n");
        for (index, method) in (0..).zip(&self.file.service[0].method) {
            let stream = if method.server_streaming() {
                "stream of "
            } else {
                ""
            };
            let (input, output) = (short(method.input_type()), short(method.output_type()));
            writeln!(
                out,
                "| `{}`([{input}](#{})) → {stream}[{output}](#{}) | {} |",
                method.name(),
                input.to_lowercase(),
                output.to_lowercase(),
                self.says(&[6, 0, 2, index])
            )
            .unwrap();
        }
        out.push_str("\n## Messages\n");
        for (index, message) in (0..).zip(&self.file.message_type) {
            self.message(&mut out, index, message);
        }
        out.push_str("\n## Words\n");
        for (index, words) in (0..).zip(&self.file.enum_type) {
            write!(
                out,
                "\n### {}\n\n{}\n\n| word | meaning |\n|---|---|\n",
                words.name(),
                self.says(&[5, index])
            )
            .unwrap();
            for (place, word) in (0..).zip(&words.value) {
                writeln!(
                    out,
                    "| `{}` | {} |",
                    word.name(),
                    self.says(&[5, index, 2, place])
                )
                .unwrap();
            }
        }
        out
    }

    fn message(&self, out: &mut String, index: i32, message: &DescriptorProto) {
        write!(
            out,
            "\n### {}\n\n{}\n",
            message.name(),
            self.says(&[4, index])
        )
        .unwrap();
        if message.field.is_empty() {
            return;
        }
        out.push_str("\n| field | type | meaning |\n|---|---|---|\n");
        for (place, field) in (0..).zip(&message.field) {
            writeln!(
                out,
                "| `{}` | {} | {} |",
                field.name(),
                kind(field),
                self.says(&[4, index, 2, place])
            )
            .unwrap();
        }
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap()
}

fn kind(field: &FieldDescriptorProto) -> String {
    let name = short(field.type_name());
    let link = format!("[{name}](#{})", name.to_lowercase());
    let kind = match field.r#type() {
        Type::Message if name.ends_with("Entry") => "map of text to text".to_owned(),
        Type::Message | Type::Enum => link,
        Type::String => "text".to_owned(),
        Type::Bool => "yes or no".to_owned(),
        Type::Double => "number with a fraction".to_owned(),
        Type::Uint32 | Type::Uint64 | Type::Int32 => "number".to_owned(),
        Type::Float
        | Type::Int64
        | Type::Fixed64
        | Type::Fixed32
        | Type::Group
        | Type::Bytes
        | Type::Sfixed32
        | Type::Sfixed64
        | Type::Sint32
        | Type::Sint64 => panic!("{} has no word yet", field.name()),
    };
    match (
        field.label(),
        field.proto3_optional(),
        field.type_name().ends_with("Entry"),
    ) {
        (Label::Repeated, _, false) => format!("list of {kind}"),
        (_, true, _) => format!("{kind}, or absent"),
        _ => kind,
    }
}

#[test]
fn the_reference_is_that_of_the_proto() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/management-api.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once(MARK).expect("the mark");
    let made = Proto::read().render();
    if std::env::var_os("CC_RELAY_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{MARK}{made}")).unwrap();
        return;
    }
    assert!(
        made == after,
        "docs/management-api.md is not made of this proto: see the top of this test"
    );
}
