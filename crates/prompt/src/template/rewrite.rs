//! From a template's text to a tree in which everything that costs is metered.
//!
//! The tree is built anew: operators become calls of metered operations, whose names no template can write, and what the
//! language leaves out is refused with its line.

use std::collections::BTreeSet;

use minijinja::Value;
use minijinja::machinery::ast::{
    BinOp, BinOpKind, Call, CallArg, Compare, CompareOpKind, Const, EmitExpr, Expr, Filter, ForLoop, GetAttr, IfCond,
    IfExpr, List, Map, Set, Slice, Spanned, Stmt, Template, Test, UnaryOp, UnaryOpKind, Var, WithBlock,
};
use minijinja::machinery::{Span, Token, WhitespaceConfig, parse, tokenize};
use minijinja::syntax::SyntaxConfig;

use crate::template::{MAX_TEMPLATE_BYTES, filter};
use crate::{Error, Result};

/// Words and signs between one `{{` or `{%` and its end: what hangs together is a tree as deep as it is long.
const MAX_TAG_TOKENS: usize = 300;
/// Tags of one template, for the same reason: every `elif` lies within the one before.
const MAX_TAGS: usize = 400;

/// What is around a template's expressions; left as people write it, so that a prompt is the text that one sees.
const WHITESPACE: WhitespaceConfig =
    WhitespaceConfig { keep_trailing_newline: true, lstrip_blocks: true, trim_blocks: true };

/// A template that can be run.
pub(super) struct Read<'s> {
    /// Its metered form.
    pub statement: Stmt<'s>,
    /// What it reads and does not set itself.
    pub variables: BTreeSet<String>,
}

/// Reads a template.
///
/// # Errors
/// [`Error::Template`] with the line.
pub(super) fn read<'s>(source: &'s str, place: &str) -> Result<Read<'s>> {
    let refuse = |line: Option<usize>, reason: String| Error::Template { place: place.to_owned(), line, reason };
    if source.len() > MAX_TEMPLATE_BYTES {
        let reason = format!("it has {} bytes, {MAX_TEMPLATE_BYTES} are allowed", source.len());
        return Err(refuse(None, reason));
    }
    let syntax = |error: minijinja::Error| {
        let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        refuse(error.line(), reason)
    };
    count(source).map_err(|error| match error {
        Uncounted::Syntax(error) => syntax(error),
        Uncounted::TooMany(line, what) => refuse(Some(line), what),
    })?;
    let parsed = parse(source, "template", SyntaxConfig, WHITESPACE).map_err(syntax)?;
    let mut rewriter = Rewriter { read: BTreeSet::new(), scopes: vec![BTreeSet::new()] };
    let statement = rewriter.statement(&parsed).map_err(|refused| refuse(Some(refused.line), refused.reason))?;
    let variables = rewriter.read.into_iter().map(str::to_owned).collect();
    Ok(Read { statement, variables })
}

enum Uncounted {
    Syntax(minijinja::Error),
    TooMany(usize, String),
}

/// Refuses what would make a tree too deep to walk, before one is built.
fn count(source: &str) -> std::result::Result<(), Uncounted> {
    let (mut tags, mut tokens) = (0, 0);
    for token in tokenize(source, false, SyntaxConfig, WHITESPACE) {
        let (token, span) = token.map_err(Uncounted::Syntax)?;
        match token {
            Token::VariableStart | Token::BlockStart => (tags, tokens) = (tags + 1, 0),
            _ => tokens += 1,
        }
        let too_many = match (tags > MAX_TAGS, tokens > MAX_TAG_TOKENS) {
            (true, _) => format!("there are more than {MAX_TAGS} tags"),
            (_, true) => format!("there are more than {MAX_TAG_TOKENS} words and signs within one tag"),
            _ => continue,
        };
        return Err(Uncounted::TooMany(span.start_line.into(), too_many));
    }
    Ok(())
}

/// What is refused, and where.
struct Refused {
    line: usize,
    reason: String,
}

type Outcome<T> = std::result::Result<T, Refused>;

fn refuse<T>(span: Span, reason: impl Into<String>) -> Outcome<T> {
    Err(Refused { line: span.start_line.into(), reason: reason.into() })
}

struct Rewriter<'s> {
    /// Names that are read where nothing has set them.
    read: BTreeSet<&'s str>,
    /// Names that are set here: those of the template, and of each loop and `with` around the place.
    scopes: Vec<BTreeSet<&'s str>>,
}

impl<'s> Rewriter<'s> {
    /// Goes through what lies within a loop or `with`: what is set there is not set after it.
    fn within<T>(&mut self, go: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.scopes.push(BTreeSet::new());
        let outcome = go(self);
        self.scopes.pop();
        outcome
    }

    /// The two sides of an `if`: neither sees what the other sets, and what either sets may be set after it.
    fn sides(&mut self, cond: &IfCond<'s>) -> Outcome<(Vec<Stmt<'s>>, Vec<Stmt<'s>>)> {
        let before = self.scopes.clone();
        let true_body = self.statements(&cond.true_body)?;
        let after_true = std::mem::replace(&mut self.scopes, before);
        let false_body = self.statements(&cond.false_body)?;
        for (scope, other) in self.scopes.iter_mut().zip(after_true) {
            scope.extend(other);
        }
        Ok((true_body, false_body))
    }

    fn set(&mut self, name: &'s str) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name);
        }
    }

    fn statements(&mut self, statements: &[Stmt<'s>]) -> Outcome<Vec<Stmt<'s>>> {
        statements.iter().map(|statement| self.statement(statement)).collect()
    }

    fn statement(&mut self, statement: &Stmt<'s>) -> Outcome<Stmt<'s>> {
        let left_out = |span: Span, name: &str| {
            refuse(span, format!("'{name}' is not part of prompt templates; there are if, for, set, with and raw"))
        };
        match statement {
            Stmt::Template(whole) => {
                let children = self.statements(&whole.children)?;
                Ok(Stmt::Template(Spanned::new(Template { children }, whole.span())))
            }
            Stmt::EmitExpr(emit) => {
                let expr = self.expr(&emit.expr)?;
                Ok(Stmt::EmitExpr(Spanned::new(EmitExpr { expr }, emit.span())))
            }
            // As an expression it is counted as it is written.
            Stmt::EmitRaw(raw) => {
                let expr = constant(raw.raw, raw.span());
                Ok(Stmt::EmitExpr(Spanned::new(EmitExpr { expr }, raw.span())))
            }
            Stmt::ForLoop(each) => self.for_loop(each),
            Stmt::IfCond(cond) => {
                let expr = self.expr(&cond.expr)?;
                let (true_body, false_body) = self.sides(cond)?;
                Ok(Stmt::IfCond(Spanned::new(IfCond { expr, true_body, false_body }, cond.span())))
            }
            Stmt::WithBlock(block) => self.with_block(block),
            Stmt::Set(set) => {
                let expr = self.expr(&set.expr)?;
                let target = self.target(&set.target)?;
                Ok(Stmt::Set(Spanned::new(Set { target, expr }, set.span())))
            }
            Stmt::Continue(it) => Ok(Stmt::Continue(Spanned::new(minijinja::machinery::ast::Continue, it.span()))),
            Stmt::Break(it) => Ok(Stmt::Break(Spanned::new(minijinja::machinery::ast::Break, it.span()))),
            Stmt::SetBlock(it) => left_out(it.span(), "set … endset"),
            Stmt::AutoEscape(it) => left_out(it.span(), "autoescape"),
            Stmt::FilterBlock(it) => left_out(it.span(), "filter"),
            Stmt::Block(it) => left_out(it.span(), "block"),
            Stmt::Import(it) => left_out(it.span(), "import"),
            Stmt::FromImport(it) => left_out(it.span(), "import"),
            Stmt::Extends(it) => left_out(it.span(), "extends"),
            Stmt::Include(it) => left_out(it.span(), "include"),
            Stmt::Macro(it) => left_out(it.span(), "macro"),
            Stmt::CallBlock(it) => left_out(it.span(), "call"),
            Stmt::Do(it) => left_out(it.span(), "do"),
        }
    }

    fn for_loop(&mut self, each: &Spanned<ForLoop<'s>>) -> Outcome<Stmt<'s>> {
        if each.recursive {
            return refuse(each.span(), "loops are not recursive");
        }
        let whole = self.expr(&each.iter)?;
        let iter = operation("~each", vec![whole], each.iter.span());
        let (target, filter_expr, body) = self.within(|within| {
            let target = within.target(&each.target)?;
            let filter_expr = each.filter_expr.as_ref().map(|expr| within.expr(expr)).transpose()?;
            within.set("loop");
            Ok((target, filter_expr, within.statements(&each.body)?))
        })?;
        let else_body = self.statements(&each.else_body)?;
        let each_of = ForLoop { target, iter, filter_expr, recursive: false, body, else_body };
        Ok(Stmt::ForLoop(Spanned::new(each_of, each.span())))
    }

    fn with_block(&mut self, block: &Spanned<WithBlock<'s>>) -> Outcome<Stmt<'s>> {
        let (assignments, body) = self.within(|within| {
            let mut assignments = Vec::with_capacity(block.assignments.len());
            for (target, expr) in &block.assignments {
                let expr = within.expr(expr)?;
                assignments.push((within.target(target)?, expr));
            }
            Ok((assignments, within.statements(&block.body)?))
        })?;
        Ok(Stmt::WithBlock(Spanned::new(WithBlock { assignments, body }, block.span())))
    }

    /// What is assigned to: a name, or several.
    fn target(&mut self, target: &Expr<'s>) -> Outcome<Expr<'s>> {
        match target {
            Expr::Var(var) => {
                self.set(var.id);
                Ok(Expr::Var(Spanned::new(Var { id: var.id }, var.span())))
            }
            Expr::List(list) => {
                let items = list.items.iter().map(|item| self.target(item)).collect::<Outcome<_>>()?;
                Ok(Expr::List(Spanned::new(List { items }, list.span())))
            }
            other => refuse(other.span(), "only a name can be set"),
        }
    }

    fn maybe(&mut self, expr: Option<&Expr<'s>>, span: Span) -> Outcome<Expr<'s>> {
        expr.map_or_else(
            || Ok(Expr::Const(Spanned::new(Const { value: Value::from(()) }, span))),
            |expr| self.expr(expr),
        )
    }

    fn expr(&mut self, expr: &Expr<'s>) -> Outcome<Expr<'s>> {
        Ok(match expr {
            Expr::Var(var) => {
                if !self.scopes.iter().any(|scope| scope.contains(var.id)) {
                    self.read.insert(var.id);
                }
                Expr::Var(Spanned::new(Var { id: var.id }, var.span()))
            }
            Expr::Const(it) => Expr::Const(Spanned::new(Const { value: it.value.clone() }, it.span())),
            Expr::UnaryOp(it) => {
                #[expect(clippy::needless_match, reason = "it lies behind a reference and cannot be copied")]
                let op = match it.op {
                    UnaryOpKind::Not => UnaryOpKind::Not,
                    UnaryOpKind::Neg => UnaryOpKind::Neg,
                };
                Expr::UnaryOp(Spanned::new(UnaryOp { op, expr: self.expr(&it.expr)? }, it.span()))
            }
            Expr::BinOp(it) => self.binary(it)?,
            Expr::Compare(it) => self.compare(it)?,
            Expr::Slice(it) => self.slice(it)?,
            Expr::IfExpr(it) => {
                let (test_expr, true_expr) = (self.expr(&it.test_expr)?, self.expr(&it.true_expr)?);
                let false_expr = it.false_expr.as_ref().map(|expr| self.expr(expr)).transpose()?;
                Expr::IfExpr(Spanned::new(IfExpr { test_expr, true_expr, false_expr }, it.span()))
            }
            Expr::Filter(it) => self.filter(it)?,
            Expr::Test(it) => self.test(it)?,
            Expr::GetAttr(it) => {
                Expr::GetAttr(Spanned::new(GetAttr { expr: self.expr(&it.expr)?, name: it.name }, it.span()))
            }
            Expr::GetItem(it) => {
                let parts = vec![self.expr(&it.expr)?, self.expr(&it.subscript_expr)?];
                operation("~item", parts, it.span())
            }
            Expr::Call(it) => self.call(it)?,
            Expr::List(it) => operation("~list", self.exprs(it.items.iter())?, it.span()),
            Expr::Map(it) => self.map(it)?,
        })
    }

    fn exprs<'e>(&mut self, exprs: impl Iterator<Item = &'e Expr<'s>>) -> Outcome<Vec<Expr<'s>>>
    where
        's: 'e,
    {
        exprs.map(|expr| self.expr(expr)).collect()
    }

    fn map(&mut self, it: &Spanned<Map<'s>>) -> Outcome<Expr<'s>> {
        let pairs = it.keys.iter().zip(&it.values).flat_map(|(key, value)| [key, value]);
        Ok(operation("~map", self.exprs(pairs)?, it.span()))
    }

    fn binary(&mut self, it: &Spanned<BinOp<'s>>) -> Outcome<Expr<'s>> {
        let (left, right) = (self.expr(&it.left)?, self.expr(&it.right)?);
        let name = match it.op {
            BinOpKind::ScAnd | BinOpKind::ScOr => {
                return Ok(Expr::BinOp(Spanned::new(BinOp { op: it.op, left, right }, it.span())));
            }
            BinOpKind::Eq => "~eq",
            BinOpKind::Ne => "~ne",
            BinOpKind::Lt => "~lt",
            BinOpKind::Lte => "~le",
            BinOpKind::Gt => "~gt",
            BinOpKind::Gte => "~ge",
            BinOpKind::Add => "~add",
            BinOpKind::Sub => "~sub",
            BinOpKind::Mul => "~mul",
            BinOpKind::Div => "~div",
            BinOpKind::FloorDiv => "~floor_div",
            BinOpKind::Rem => "~rem",
            BinOpKind::Pow => "~pow",
            BinOpKind::Concat => "~concat",
            BinOpKind::In => "~in",
        };
        Ok(operation(name, vec![left, right], it.span()))
    }

    fn compare(&mut self, it: &Spanned<Compare<'s>>) -> Outcome<Expr<'s>> {
        let [only] = &it.ops[..] else {
            return refuse(it.span(), "write a chain of comparisons with 'and': a < b and b < c");
        };
        let name = match only.op {
            CompareOpKind::Eq => "~eq",
            CompareOpKind::Ne => "~ne",
            CompareOpKind::Lt => "~lt",
            CompareOpKind::Lte => "~le",
            CompareOpKind::Gt => "~gt",
            CompareOpKind::Gte => "~ge",
            CompareOpKind::In => "~in",
            CompareOpKind::NotIn => "~not_in",
        };
        let parts = vec![self.expr(&it.expr)?, self.expr(&only.expr)?];
        Ok(operation(name, parts, it.span()))
    }

    fn slice(&mut self, it: &Spanned<Slice<'s>>) -> Outcome<Expr<'s>> {
        if it.step.is_some() {
            return refuse(it.span(), "a slice has no step; there is the filter 'reverse'");
        }
        let whole = self.expr(&it.expr)?;
        let (start, stop) = (self.maybe(it.start.as_ref(), it.span())?, self.maybe(it.stop.as_ref(), it.span())?);
        Ok(operation("~slice", vec![whole, start, stop], it.span()))
    }

    fn filter(&mut self, it: &Spanned<Filter<'s>>) -> Outcome<Expr<'s>> {
        let name = if it.name == "d" { "default" } else { it.name };
        if !filter::names().any(|known| known == name) {
            let mut known: Vec<_> = filter::names().collect();
            known.sort_unstable();
            return refuse(it.span(), format!("there is no filter '{name}'; there are {}", known.join(", ")));
        }
        let Some(of) = &it.expr else { return refuse(it.span(), "a filter needs a value before it") };
        let (expr, args) = (Some(self.expr(of)?), self.args(&it.args)?);
        Ok(Expr::Filter(Spanned::new(Filter { name, expr, args }, it.span())))
    }

    fn test(&mut self, it: &Spanned<Test<'s>>) -> Outcome<Expr<'s>> {
        if !filter::TESTS.contains(&it.name) {
            let reason = format!("there is no test '{}'; there are {}", it.name, filter::TESTS.join(", "));
            return refuse(it.span(), reason);
        }
        let (expr, args) = (self.expr(&it.expr)?, self.args(&it.args)?);
        Ok(Expr::Test(Spanned::new(Test { name: it.name, expr, args }, it.span())))
    }

    /// There are two things to call: `range(…)` and `loop.cycle(…)`.
    fn call(&mut self, it: &Spanned<Call<'s>>) -> Outcome<Expr<'s>> {
        let args = self.args(&it.args)?;
        let callee = match &it.expr {
            Expr::Var(var) if var.id == "range" => Expr::Var(Spanned::new(Var { id: "range" }, var.span())),
            Expr::GetAttr(attr) if attr.name == "cycle" && matches!(&attr.expr, Expr::Var(var) if var.id == "loop") => {
                if args.is_empty() {
                    return refuse(it.span(), "loop.cycle(…) needs something to go through");
                }
                let expr = self.expr(&attr.expr)?;
                Expr::GetAttr(Spanned::new(GetAttr { expr, name: "cycle" }, attr.span()))
            }
            _ => {
                return refuse(
                    it.span(),
                    "only range(…) and loop.cycle(…) can be called; what others are for, filters do",
                );
            }
        };
        Ok(Expr::Call(Spanned::new(Call { expr: callee, args }, it.span())))
    }

    fn args(&mut self, args: &[CallArg<'s>]) -> Outcome<Vec<CallArg<'s>>> {
        args.iter()
            .map(|arg| match arg {
                CallArg::Pos(expr) => self.expr(expr).map(CallArg::Pos),
                CallArg::Kwarg(name, expr) => self.expr(expr).map(|expr| CallArg::Kwarg(name, expr)),
                CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => {
                    refuse(expr.span(), "arguments are given one by one")
                }
            })
            .collect()
    }
}

fn constant<'s>(text: &str, span: Span) -> Expr<'s> {
    Expr::Const(Spanned::new(Const { value: Value::from(text) }, span))
}

fn operation<'s>(name: &'static str, parts: Vec<Expr<'s>>, span: Span) -> Expr<'s> {
    let args = parts.into_iter().map(CallArg::Pos).collect();
    Expr::Call(Spanned::new(Call { expr: Expr::Var(Spanned::new(Var { id: name }, span)), args }, span))
}
