//! The page that lists every resource, data source, function and setting: written from the
//! schemas, and held up to date by a test.
//!
//! Owns nothing.

use std::fmt::Write;

use crate::call::{self, Call};
use crate::schema::{Attribute, Kind, Schema, Usage};
use crate::value::Value;
use crate::value::json::to_json;
use crate::{data, resource, settings};

/// The page, as Markdown.
pub fn page() -> String {
    let mut text = String::from(
        "# Reference of the provider\n\nWritten from the provider's schemas \
         (`terraform/provider/src`); a test compares it. Numbers are whole unless said \
         otherwise.\n\n## `provider \"eddyline\"`\n\n",
    );
    section(&mut text, &settings::schema());
    for resource in resource::all() {
        heading(&mut text, &format!("`resource \"{}\"`", resource.name()));
        section(&mut text, resource.schema());
        text.push_str("\nImported by its name.\n");
    }
    for source in data::all() {
        heading(&mut text, &format!("`data \"{}\"`", source.name()));
        section(&mut text, source.schema());
    }
    heading(&mut text, "Functions");
    text.push_str("Called as `provider::eddyline::NAME(…)`.\n");
    call::all()
        .iter()
        .for_each(|call| function(&mut text, call));
    text
}

fn heading(text: &mut String, title: &str) {
    text.push_str("\n## ");
    text.push_str(title);
    text.push_str("\n\n");
}

fn section(text: &mut String, schema: &Schema) {
    text.push_str(schema.description);
    text.push_str("\n\n| Attribute | Type | | |\n|---|---|---|---|\n");
    rows(text, "", &schema.attributes);
}

fn rows(text: &mut String, prefix: &str, attributes: &[Attribute]) {
    for attribute in attributes {
        let name = format!("{prefix}{}", attribute.name);
        let (kind, usage) = (attribute.kind.word(), usage(attribute));
        // A text takes whatever is written into it.
        let _ = writeln!(
            text,
            "| `{name}` | {kind} | {usage} | {} |",
            attribute.description
        );
        if let Kind::Object(inner) | Kind::Objects(inner) = &attribute.kind {
            rows(text, &format!("{name}."), inner);
        }
    }
}

fn usage(attribute: &Attribute) -> String {
    let usage = match &attribute.usage {
        Usage::Required => "required".to_owned(),
        Usage::Optional => "optional".to_owned(),
        Usage::WriteOnly => "optional, never kept".to_owned(),
        Usage::Default(Value::Map(fields)) if !fields.is_empty() => "optional, see below".into(),
        Usage::Default(value) => format!("`{}` unless said", to_json(value)),
        Usage::Made | Usage::Changing => "told".to_owned(),
    };
    let replaces = if attribute.replaces { "; replaces" } else { "" };
    let sensitive = if attribute.sensitive {
        "; sensitive"
    } else {
        ""
    };
    format!("{usage}{replaces}{sensitive}")
}

fn function(text: &mut String, call: &Call) {
    let names: Vec<&str> = call.parameters.iter().map(|(name, ..)| *name).collect();
    let _ = writeln!(
        text,
        "\n### `{}({})` → {}\n\n{}\n",
        call.name,
        names.join(", "),
        call.returns.word(),
        call.summary
    );
    for (name, kind, description) in &call.parameters {
        let _ = writeln!(text, "- `{name}` ({}): {description}", kind.word());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_says_what_there_is() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("REFERENCE.md");
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        if kept == page() {
            return;
        }
        let aside = std::env::temp_dir().join("REFERENCE.md");
        std::fs::write(&aside, page()).unwrap();
        panic!(
            "{} is not up to date: {} is",
            path.display(),
            aside.display()
        );
    }
}
