//! The attribute macro of `afield`. Applications use it as `afield::model` and never name this crate.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `hand_over` | the first step: from the attribute to a derive, which sees what `cfg` has left |
//! | `attributes` | what may be written inside `#[model(…)]`, and what to do instead of what may not |
//! | `field` | one field, how it is read and what its absence says |
//! | `shape` | structs and variants, seen as a map, a list or their inner value |
//! | `record` | what reads and writes a struct |
//! | `union` | what reads and writes an enum |
//! | `implementation` | the implementations around it |
//! | `bounds` | which bounds a generic model's implementations need |
//!
//! The generated code names `afield::typed::support` alone, so an application depends on `afield` and on neither
//! autosurgeon nor automerge. Its meaning (what is read for an absent field, what is written) is told there.

mod attributes;
mod bounds;
mod field;
mod hand_over;
mod implementation;
mod record;
mod shape;
mod union;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Item, parse_macro_input};

/// Makes a struct or an enum the typed form of an entity, or of a part of one.
///
/// See `afield::typed` for what is read and written. In short:
///
/// | Rust | in the document |
/// | --- | --- |
/// | struct with named fields | map |
/// | tuple struct | list, each element known by its position |
/// | struct with one unnamed field | its inner value |
/// | enum variant without data | string |
/// | enum variant with data | map `{"Variant": data}` |
///
/// # Types of fields
///
/// A field's type implements `afield::typed::Field`. Where a value is replaced, one of two concurrent edits wins, and the
/// other is shown as a conflict.
///
/// | type | in the document | concurrent edits |
/// | --- | --- | --- |
/// | another model | as above | merge by field; variants and variants' inner values are replaced |
/// | `Text` | text | merge by character |
/// | `RichText` | text with marks and blocks | merge by character, mark and block |
/// | `LongText` | text in parts | merge by character |
/// | `Counter` | counter | add up |
/// | `bool`, `u8` to `u64`, `i8` to `i64`, `usize`, `isize`, `f32`, `f64` | the same | replaced |
/// | `String`, `Cow<'static, str>`, `Box<str>`, `Rc<str>`, `Arc<str>`, `char` | string | replaced |
/// | `EntityId`, `SpaceId`, `DeviceId`, `uuid::Uuid` | string with hyphens | replaced |
/// | `Bytes` | bytes | replaced |
/// | `Timestamp`, `std::time::SystemTime` | timestamp, in milliseconds | replaced |
/// | `Option<T>` | null or `T`; see `afield::typed` for when it is absent | as `T` |
/// | `Box<T>`, `Rc<T>`, `Arc<T>` | `T` | as `T` |
/// | `Vec<T>`, `VecDeque<T>` | list | insertions and deletions merge, and elements that are models by field |
/// | `[T; N]`, tuples of up to six | list, each element known by its position | merge by element |
/// | `BTreeMap<K, T>`, `HashMap<K, T>` | map | merge by entry |
/// | `BTreeSet<K>`, `HashSet<K>` | map from each element to `true` | additions and removals merge |
/// | `afield::Value`, `serde_json::Value` | what they hold | merge by part |
///
/// Keys and elements of sets `K` are `afield::typed::MapKey`: strings, `char`, `bool`, whole numbers, ids, enums that
/// are models without data, and models that are one of these.
///
/// # Options
///
/// On the item:
///
/// - `#[model(rename_all = "camelCase")]`: the names of fields, or of variants (also `PascalCase`, `snake_case`,
///   `kebab-case`, `SCREAMING_SNAKE_CASE`, `lowercase`);
/// - `#[model(crate = "path::to::afield")]`: where the library is, when it is not `::afield`.
///
/// On a field:
///
/// - `#[model(rename = "name")]`: the name in the document, also on a variant;
/// - `#[model(key)]`: the identity of an element in a list, so that an edit is written to the element it was made on.
///   On the inner value of a variant with one unnamed field it says that the identity of that value is meant;
/// - `#[model(default = "path::to::function")]`: what an absent field reads as, in place of `Default::default()`;
/// - `#[model(required)]`: an absent field is an error;
/// - `#[model(skip)]`: the field is not in the document. It reads as its default and is not written, and what stands
///   there under its name stays;
/// - `#[model(with = "path::to::module")]`: the field is stored as a value of another type, which is a field. The module
///   has two functions, `fn write(value: &T) -> F` and `fn read(stored: F) -> Result<T, E>`. Those of
///   `afield::typed::as_string` do for what has a text, such as `IpAddr`, and those of `afield::typed::as_bytes` for
///   arrays of bytes. The error is replaced by one that names the place and no content.
///
/// On one variant without data: `#[model(other)]`, which stands for every variant that a newer version may have
/// written.
///
/// `#[cfg(…)]` and `#[cfg_attr(…, model(…))]` on fields and variants mean what they mean without the macro. Attributes
/// of serde on the same item have no effect here, nor have those of this macro on serde: a name that both must know is
/// given twice, `#[model(rename = "a")] #[serde(rename = "a")]`.
#[proc_macro_attribute]
pub fn model(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let item = parse_macro_input!(item as Item);
    let (item, mistakes) = hand_over::hand_over(arguments.into(), item);
    let mistakes = mistakes.err().map(|error| error.to_compile_error());
    quote!(#item #mistakes).into()
}

/// The second step of [`macro@model`], which it puts on the item.
#[doc(hidden)]
#[proc_macro_derive(Model, attributes(__afield))]
pub fn derive_model(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    implement(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// The implementations of the traits that make a model.
fn implement(input: &DeriveInput) -> syn::Result<TokenStream> {
    bounds::check(&input.generics)?;
    let container = attributes::Container::read(&input.attrs)?;
    match &input.data {
        Data::Struct(data) => {
            let shape = shape::Shape::read(&data.fields)?;
            let code = record::code(&input.ident, &container, &shape)?;
            let names = shape.names(container.names);
            Ok(implementation::implement(input, &container, shape.fields().iter(), code, names))
        }
        Data::Enum(data) => {
            let variants = union::Variant::read_all(data)?;
            let code = union::code(&input.ident, &container, &variants)?;
            let fields = variants.iter().flat_map(|variant| variant.shape.fields());
            Ok(implementation::implement(input, &container, fields, code, None))
        }
        Data::Union(_) => Err(syn::Error::new_spanned(&input.ident, "a model is a struct or an enum")),
    }
}

#[cfg(test)]
mod tests;
