//! From the text of a query to SQL over the projections.
//!
//! Nothing of the text reaches SQLite: it is parsed, and what it says is written anew. Fields become JSON paths that are quoted
//! here, values and literals are bound, and what is not listed here is refused.

use super::error::QueryError;
use super::field::{FieldPath, Source};
use super::functions::{self, CONTAINS, Function, HAS_KEY, LENGTH_OF_LIST, TYPE_OF};
use super::value::{Position, QueryValue};
use afield_core::lens::{Asked, Lenses};
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function as Call, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, Spanned, UnaryOperator, Value,
};
use sqlparser::dialect::SQLiteDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, Tokenizer, TokenizerError};

/// How long the text of a query may be, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 16 * 1024;
/// How deep it may nest in parentheses, on the stack of whatever thread asks.
pub(super) const DEPTH_MAX: usize = 50;
/// How many operators and words of SQL it may hold: each may be the left side of the next one, which nests as parentheses do.
pub(super) const OPERATORS_MAX: usize = 200;
/// How many values and literals it may hold; SQLite takes 32,766.
pub(super) const VALUES_MAX: usize = 4_000;

/// The word by which compiled SQL names the row of projections.
pub(super) const ROW: &str = "p.";

/// A condition over the fields of an entity, as SQL.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) sql: String,
    pub(super) values: Vec<QueryValue>,
    pub(super) fields: Vec<FieldPath>,
}

/// Reads a condition and gives its question marks these values. Through lenses its fields are those of their newest version.
pub(super) fn condition(text: &str, values: &[QueryValue], lenses: Option<&Lenses>) -> Result<Condition, QueryError> {
    let expression = parse(text)?;
    let (bound, fields, sql) = (Vec::new(), Vec::new(), String::new());
    let mut writer = Writer { values, lenses, given: 0, bound, fields, sql, depth: 0 };
    writer.expression(&expression)?;
    if writer.given != values.len() {
        return Err(QueryError::Parameters { expected: writer.given, given: values.len() });
    }
    if writer.bound.len() > VALUES_MAX {
        return Err(too_large());
    }
    Ok(Condition { sql: writer.sql, values: writer.bound, fields: writer.fields })
}

/// Reads one field.
pub(super) fn field(text: &str) -> Result<FieldPath, QueryError> {
    let expression = parse(text)?;
    field_of(&expression).ok_or_else(|| QueryError::NotAField { at: beginning(&expression) })
}

/// Whether a key can stand in a query without quotation marks. Words of SQL cannot, all of which are letters.
pub(super) fn is_plain_name(key: &str) -> bool {
    let tokens = Tokenizer::new(&SQLiteDialect {}, key).tokenize();
    let [Token::Word(word)] = tokens.as_deref().unwrap_or_default() else { return false };
    word.quote_style.is_none()
        && parse(key).is_ok_and(|read| matches!(read, Expr::Identifier(name) if name.value == key))
}

pub(super) fn too_large() -> QueryError {
    QueryError::TooLarge {
        bytes_max: TEXT_BYTES_MAX,
        depth_max: DEPTH_MAX,
        operators_max: OPERATORS_MAX,
        values_max: VALUES_MAX,
    }
}

fn parse(text: &str) -> Result<Expr, QueryError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(too_large());
    }
    let dialect = SQLiteDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| {
        let TokenizerError { location, .. } = error;
        let at = Position { line: location.line, column: location.column };
        QueryError::Syntax { at, ends_early: false }
    })?;
    if tokens.iter().filter(|token| is_operator(&token.token)).count() > OPERATORS_MAX {
        return Err(too_large());
    }
    let mut parser = Parser::new(&dialect).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens);
    match parser.parse_expr() {
        Ok(expression) if parser.peek_token_ref().token == Token::EOF => Ok(expression),
        Ok(_) => Err(QueryError::Syntax { at: place(parser.peek_token_ref().span), ends_early: false }),
        Err(ParserError::RecursionLimitExceeded) => Err(too_large()),
        Err(ParserError::ParserError(message) | ParserError::TokenizerError(message)) => {
            let at = place_in(&message);
            Err(QueryError::Syntax { at: at.unwrap_or(end_of(text)), ends_early: at.is_none() })
        }
    }
}

/// Whether more of this makes an expression deeper.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.quote_style.is_none() && word.keyword != Keyword::NoKeyword,
        Token::Whitespace(_) | Token::Comma | Token::Period | Token::LParen | Token::RParen | Token::Placeholder(_) => {
            false
        }
        Token::Number(..) | Token::SingleQuotedString(_) | Token::EOF => false,
        _ => true,
    }
}

/// The place that the parser names at the end of its message, and nowhere else; none where the text has ended.
fn place_in(message: &str) -> Option<Position> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
}

fn end_of(text: &str) -> Position {
    let line = text.split('\n').count() as u64;
    let column = text.rsplit('\n').next().map_or(0, |last| last.chars().count()) as u64 + 1;
    Position { line, column }
}

fn place(span: Span) -> Position {
    Position { line: span.start.line.max(1), column: span.start.column.max(1) }
}

/// Where an expression begins, without a look at all that follows.
fn beginning(expression: &Expr) -> Position {
    let mut first = expression;
    loop {
        first = match first {
            Expr::BinaryOp { left: next, .. }
            | Expr::IsDistinctFrom(next, _)
            | Expr::IsNotDistinctFrom(next, _)
            | Expr::IsNull(next)
            | Expr::IsNotNull(next)
            | Expr::IsTrue(next)
            | Expr::IsNotTrue(next)
            | Expr::IsFalse(next)
            | Expr::IsNotFalse(next)
            | Expr::Nested(next)
            | Expr::Between { expr: next, .. }
            | Expr::InList { expr: next, .. }
            | Expr::InSubquery { expr: next, .. }
            | Expr::Like { expr: next, .. }
            | Expr::Collate { expr: next, .. }
            | Expr::UnaryOp { expr: next, .. }
            | Expr::Cast { expr: next, .. } => next,
            other => return place(other.span()),
        };
    }
}

fn field_of(expression: &Expr) -> Option<FieldPath> {
    let names: &[Ident] = match expression {
        Expr::Identifier(name) => std::slice::from_ref(name),
        Expr::CompoundIdentifier(names) => names,
        Expr::Nested(inner) => return field_of(inner),
        _ => return None,
    };
    let at = names.first().map(|name| place(name.span)).unwrap_or_default();
    Some(FieldPath { keys: names.iter().map(|name| name.value.clone()).collect(), at, source: Source::Named })
}

struct Writer<'v> {
    values: &'v [QueryValue],
    lenses: Option<&'v Lenses>,
    /// How many of the values have been asked for.
    given: usize,
    bound: Vec<QueryValue>,
    fields: Vec<FieldPath>,
    sql: String,
    depth: usize,
}

impl Writer<'_> {
    fn field_of(&self, expression: &Expr, asked: Asked) -> Result<Option<FieldPath>, QueryError> {
        let field = field_of(expression);
        match self.lenses {
            Some(lenses) => field.map(|field| field.asked_through(lenses, asked)).transpose(),
            None => Ok(field),
        }
    }

    /// Writes what asks no more than this of its argument, if that is a field; any other argument is a value.
    fn asking(&mut self, expression: &Expr, asked: Asked) -> Result<(), QueryError> {
        match self.field_of(expression, asked)? {
            None => self.expression(expression),
            Some(field) => {
                self.sql.push_str(&field.sql(ROW));
                self.fields.push(field);
                Ok(())
            }
        }
    }

    fn expression(&mut self, expression: &Expr) -> Result<(), QueryError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX + OPERATORS_MAX {
            return Err(too_large());
        }
        self.sql.push('(');
        self.inner(expression)?;
        self.sql.push(')');
        self.depth -= 1;
        Ok(())
    }

    fn inner(&mut self, expression: &Expr) -> Result<(), QueryError> {
        if let Some(field) = self.field_of(expression, Asked::Value)? {
            self.sql.push_str(&field.sql(ROW));
            self.fields.push(field);
            return Ok(());
        }
        let at = beginning(expression);
        match expression {
            Expr::Nested(inner) => self.expression(inner),
            Expr::Value(value) => self.value(&value.value, place(value.span)),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, at),
            Expr::UnaryOp { op, expr } => {
                self.sql.push_str(match op {
                    UnaryOperator::Not => "NOT ",
                    UnaryOperator::Minus => "- ",
                    UnaryOperator::Plus => "+ ",
                    _ => return Err(not_allowed("this operator", at)),
                });
                self.expression(expr)
            }
            Expr::IsNull(inner) => self.is_there(inner, "IS NULL"),
            Expr::IsNotNull(inner) => self.is_there(inner, "IS NOT NULL"),
            Expr::IsTrue(inner) => self.followed_by(inner, "IS TRUE"),
            Expr::IsNotTrue(inner) => self.followed_by(inner, "IS NOT TRUE"),
            Expr::IsFalse(inner) => self.followed_by(inner, "IS FALSE"),
            Expr::IsNotFalse(inner) => self.followed_by(inner, "IS NOT FALSE"),
            Expr::IsDistinctFrom(left, right) => self.pair(left, "IS NOT", right),
            Expr::IsNotDistinctFrom(left, right) => self.pair(left, "IS", right),
            Expr::Between { expr, negated, low, high } => {
                self.expression(expr)?;
                self.word(if *negated { "NOT BETWEEN" } else { "BETWEEN" });
                self.pair(low, "AND", high)
            }
            Expr::InList { expr, list, negated } => {
                self.expression(expr)?;
                self.word(if *negated { "NOT IN" } else { "IN" });
                self.list(list)
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.pair(expr, if *negated { "NOT LIKE" } else { "LIKE" }, pattern)?;
                let Some(escape) = escape_char else { return Ok(()) };
                self.word("ESCAPE");
                self.expression(escape)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Cast { kind: CastKind::Cast, expr, data_type, format: None } => {
                let to = match data_type {
                    DataType::Int(None) | DataType::Integer(None) => "INTEGER",
                    DataType::Real => "REAL",
                    DataType::Text => "TEXT",
                    _ => return Err(not_allowed("a CAST to other than INTEGER, REAL or TEXT", at)),
                };
                self.sql.push_str("CAST");
                self.sql.push('(');
                self.expression(expr)?;
                self.word("AS");
                self.sql.push_str(to);
                self.sql.push(')');
                Ok(())
            }
            Expr::Collate { expr, collation } => {
                let name = single(collation).map(|name| name.value.to_ascii_uppercase());
                match name.as_deref() {
                    Some("NOCASE") => self.followed_by(expr, "COLLATE NOCASE"),
                    Some("BINARY") => self.followed_by(expr, "COLLATE BINARY"),
                    _ => Err(not_allowed("a collation other than NOCASE or BINARY", at)),
                }
            }
            Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                let arguments: Vec<_> = [&**expr, &**from].into_iter().chain(substring_for.as_deref()).collect();
                self.call("substr", &arguments)
            }
            Expr::Trim { trim_where: None, trim_what: None, expr, trim_characters } => {
                let characters = trim_characters.iter().flatten();
                let arguments: Vec<_> = std::iter::once(&**expr).chain(characters).collect();
                self.call("trim", &arguments)
            }
            Expr::Function(call) => self.function(call, at),
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => Err(not_allowed("a subquery", at)),
            _ => Err(not_allowed("this expression", at)),
        }
    }

    fn binary(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr, at: Position) -> Result<(), QueryError> {
        let op = match op {
            BinaryOperator::Eq => "=",
            BinaryOperator::NotEq => "<>",
            BinaryOperator::Lt => "<",
            BinaryOperator::LtEq => "<=",
            BinaryOperator::Gt => ">",
            BinaryOperator::GtEq => ">=",
            BinaryOperator::Plus => "+",
            BinaryOperator::Minus => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
            BinaryOperator::StringConcat => "||",
            BinaryOperator::And => "AND",
            BinaryOperator::Or => "OR",
            BinaryOperator::Glob => "GLOB",
            _ => return Err(not_allowed("this operator", at)),
        };
        self.pair(left, op, right)
    }

    fn value(&mut self, value: &Value, at: Position) -> Result<(), QueryError> {
        let literal = match value {
            Value::Placeholder(mark) if mark == "?" => {
                self.given += 1;
                // How many there are is compared when all have been counted.
                self.values.get(self.given - 1).cloned().unwrap_or(QueryValue::Null)
            }
            Value::Placeholder(_) => return Err(not_allowed("a parameter other than ?", at)),
            Value::Number(digits, _) => number(digits).ok_or(QueryError::Syntax { at, ends_early: false })?,
            Value::SingleQuotedString(text) => QueryValue::Text(text.clone()),
            Value::Boolean(truth) => QueryValue::Integer(i64::from(*truth)),
            Value::Null => QueryValue::Null,
            _ => return Err(not_allowed("this literal", at)),
        };
        self.bound.push(literal);
        self.sql.push('?');
        Ok(())
    }

    fn function(&mut self, call: &Call, at: Position) -> Result<(), QueryError> {
        let Call { name, args, filter, over, within_group, null_treatment, parameters, uses_odbc_syntax } = call;
        let is_plain = filter.is_none()
            && over.is_none()
            && within_group.is_empty()
            && null_treatment.is_none()
            && matches!(parameters, FunctionArguments::None)
            && !uses_odbc_syntax;
        let (Some(name), FunctionArguments::List(list), true) = (single(name), args, is_plain) else {
            return Err(not_allowed("this function", at));
        };
        let at = place(name.span);
        let Some(Function { name, least, most }) = functions::find(&name.value) else {
            let nearest = super::known::nearest(&name.value, functions::names());
            return Err(QueryError::UnknownFunction { name: name.value.clone(), nearest, at });
        };
        if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
            return Err(not_allowed("an aggregate's option", at));
        }
        let arguments: Option<Vec<&Expr>> = list.args.iter().map(argument).collect();
        let arguments = arguments.ok_or(not_allowed("this argument", at))?;
        if !(least..=most).contains(&arguments.len()) {
            return Err(QueryError::Arguments { name, least, most, at });
        }
        match (name, arguments.as_slice()) {
            (CONTAINS, [list, value]) => self.element_with(list, "atom", value),
            (HAS_KEY, [map, key]) => self.element_with(map, "key", key),
            (name @ (LENGTH_OF_LIST | TYPE_OF), [of]) => {
                self.sql.push_str(name);
                self.sql.push('(');
                self.asking(of, Asked::Extent)?;
                self.sql.push(')');
                Ok(())
            }
            (name, arguments) => self.call(name, arguments),
        }
    }

    /// Whether a list or a map has an element of which a column of SQLite's `json_each` is a value.
    fn element_with(&mut self, of: &Expr, column: &str, value: &Expr) -> Result<(), QueryError> {
        let field = self.field_of(of, Asked::Elements)?.ok_or_else(|| QueryError::NotAField { at: beginning(of) })?;
        let (json, path) = field.json(ROW);
        let from = format!("EXISTS (SELECT 1 FROM json_each({json}, {path}) AS element WHERE element.{column} = ");
        self.sql.push_str(&from);
        self.fields.push(field);
        self.expression(value)?;
        self.sql.push(')');
        Ok(())
    }

    fn call(&mut self, name: &str, arguments: &[&Expr]) -> Result<(), QueryError> {
        self.sql.push_str(name);
        self.list(arguments.iter().copied())
    }

    fn list<'e>(&mut self, expressions: impl IntoIterator<Item = &'e Expr>) -> Result<(), QueryError> {
        self.sql.push('(');
        for (number, expression) in expressions.into_iter().enumerate() {
            if number > 0 {
                self.sql.push_str(", ");
            }
            self.expression(expression)?;
        }
        self.sql.push(')');
        Ok(())
    }

    fn case(&mut self, of: Option<&Expr>, cases: &[CaseWhen], otherwise: Option<&Expr>) -> Result<(), QueryError> {
        self.word("CASE");
        of.map_or(Ok(()), |of| self.expression(of))?;
        for CaseWhen { condition, result } in cases {
            self.word("WHEN");
            self.pair(condition, "THEN", result)?;
        }
        if let Some(otherwise) = otherwise {
            self.word("ELSE");
            self.expression(otherwise)?;
        }
        self.word("END");
        Ok(())
    }

    fn pair(&mut self, left: &Expr, between: &str, right: &Expr) -> Result<(), QueryError> {
        self.expression(left)?;
        self.word(between);
        self.expression(right)
    }

    fn is_there(&mut self, expression: &Expr, word: &str) -> Result<(), QueryError> {
        self.asking(expression, Asked::Extent)?;
        self.word(word);
        Ok(())
    }

    fn followed_by(&mut self, expression: &Expr, word: &str) -> Result<(), QueryError> {
        self.expression(expression)?;
        self.word(word);
        Ok(())
    }

    fn word(&mut self, word: &str) {
        self.sql.push(' ');
        self.sql.push_str(word);
        self.sql.push(' ');
    }
}

fn argument(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
        _ => None,
    }
}

fn single(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(name),
        _ => None,
    }
}

fn number(digits: &str) -> Option<QueryValue> {
    let digits = digits.replace('_', "");
    let whole = digits.parse().map(QueryValue::Integer);
    whole.ok().or_else(|| digits.parse().ok().filter(|number: &f64| number.is_finite()).map(QueryValue::Real))
}

fn not_allowed(what: &'static str, at: Position) -> QueryError {
    QueryError::NotAllowed { what, at }
}
