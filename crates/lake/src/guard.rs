//! What a statement may do: read the tables of the lake, and nothing else.
//!
//! The first look is at the syntax: one statement, of a kind that reads. The second is at the plan, which must
//! hold nothing that changes data, tables or settings. What cannot be reached is not there in the first place:
//! the query engine knows no file system but the folder of the segments, no function that reads files, and none
//! whose answer is as large as a number in the statement says. Those whose answer grows with their arguments, such as
//! `concat` and `replace`, are there with a limit on what one call makes (`bounded`).

use std::ops::ControlFlow;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{SetExpr, Statement as SqlStatement, visit_relations};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::Error;

/// Functions that are taken out: a short statement could make each fill the memory within one call, where no
/// memory limit and no time limit sees it.
pub(crate) const ABSENT_FUNCTIONS: &[&str] = &[
    "array_pad",
    "array_repeat",
    "array_resize",
    "generate_series",
    "list_pad",
    "list_repeat",
    "list_resize",
    "lpad",
    "range",
    "repeat",
    "rpad",
];

/// Nesting of parentheses and subqueries that the parser follows.
const MAX_NESTING: usize = 64;

/// Operators and keywords in one statement.
const MAX_LINKS: usize = 1000;

/// Tables in one statement, each as often as it is named.
const MAX_RELATIONS: usize = 32;

/// Parses a statement and checks that it is one that reads.
pub(crate) fn parse(sql: &str, limit_bytes: usize) -> Result<Statement, Error> {
    if sql.len() > limit_bytes {
        return Err(Error::SqlTooLong { bytes: sql.len(), limit_bytes });
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|cause| Error::Sql { message: cause.to_string() })?;
    check_size(&tokens)?;
    let mut parser = DFParserBuilder::new(tokens).with_recursion_limit(MAX_NESTING).build().map_err(syntax)?;
    let mut statements = parser.parse_statements().map_err(syntax)?;
    let statement = statements.pop_front().ok_or_else(|| Error::Sql { message: "there is no statement".to_owned() })?;
    if !statements.is_empty() {
        return Err(refused("more than one statement"));
    }
    check(&statement)?;
    Ok(statement)
}

/// Refuses statements that would take very long to plan, which no time limit stops. Values and names are free:
/// a list of ten thousand identifiers is planned in no time.
fn check_size(tokens: &[TokenWithSpan]) -> Result<(), Error> {
    let counts = |token: &&TokenWithSpan| match &token.token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::Whitespace(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EOF => false,
        _ => true,
    };
    let links = tokens.iter().filter(counts).count();
    if links > MAX_LINKS {
        Err(refused(&format!("{links} operators and keywords, more than {MAX_LINKS}")))
    } else {
        Ok(())
    }
}

/// Refuses joins of very many tables, for the same reason.
fn check_relations(statement: &SqlStatement) -> Result<(), Error> {
    let mut relations = 0;
    let _ = visit_relations(statement, |_| {
        relations += 1;
        ControlFlow::<()>::Continue(())
    });
    if relations > MAX_RELATIONS {
        Err(refused(&format!("{relations} tables, more than {MAX_RELATIONS}")))
    } else {
        Ok(())
    }
}

fn check(statement: &Statement) -> Result<(), Error> {
    match statement {
        Statement::Statement(statement) => check_relations(statement).and_then(|()| check_sql(statement)),
        Statement::Explain(explain) => check(&explain.statement),
        Statement::CopyTo(_) => Err(refused("COPY")),
        Statement::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        Statement::Reset(_) => Err(refused("RESET")),
    }
}

fn check_sql(statement: &SqlStatement) -> Result<(), Error> {
    match statement {
        SqlStatement::Query(query) => check_body(&query.body),
        SqlStatement::Explain { statement, .. } => check_sql(statement),
        SqlStatement::ExplainTable { .. }
        | SqlStatement::ShowTables { .. }
        | SqlStatement::ShowColumns { .. }
        | SqlStatement::ShowFunctions { .. }
        | SqlStatement::ShowVariable { .. } => Ok(()),
        other => Err(refused(first_word(&other.to_string()))),
    }
}

/// `WITH … INSERT` and the like are queries to the parser.
fn check_body(body: &SetExpr) -> Result<(), Error> {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            Err(refused("changing data"))
        }
        _ => Ok(()),
    }
}

/// Checks that a plan reads only.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<(), Error> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(plan).map_err(|cause| refused(&cause.strip_backtrace()))?;
    let mut extension = false;
    plan.apply_with_subqueries(|node| {
        extension |= matches!(node, LogicalPlan::Extension(_));
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(syntax)?;
    if extension { Err(refused("an extension")) } else { Ok(()) }
}

/// Turns an error of parsing or planning into one whose message is for whoever wrote the statement.
pub(crate) fn syntax(cause: DataFusionError) -> Error {
    Error::Sql { message: cause.strip_backtrace() }
}

fn refused(reason: &str) -> Error {
    Error::Refused { reason: reason.to_owned() }
}

fn first_word(statement: &str) -> &str {
    statement.split_whitespace().next().unwrap_or("this statement")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(sql: &str) -> bool {
        matches!(parse(sql, 1000), Err(Error::Refused { .. } | Error::Sql { .. }))
    }

    #[test]
    fn reading_is_allowed() {
        for sql in [
            "SELECT 1",
            "select 1;",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE VERBOSE SELECT 1",
            "SHOW TABLES",
            "SHOW COLUMNS FROM events",
            "DESCRIBE events",
            "VALUES (1)",
            "(SELECT 1) UNION ALL (SELECT 2)",
            "-- a comment\nSELECT 1",
        ] {
            assert!(parse(sql, 1000).is_ok(), "{sql}: {:?}", parse(sql, 1000));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for sql in [
            "INSERT INTO events VALUES (1)",
            "WITH a AS (SELECT 1) INSERT INTO events SELECT * FROM a",
            "UPDATE events SET n = 1",
            "DELETE FROM events",
            "MERGE INTO events USING x ON 1 = 1 WHEN MATCHED THEN DELETE",
            "TRUNCATE events",
            "CREATE TABLE a AS SELECT 1",
            "CREATE VIEW a AS SELECT 1",
            "CREATE EXTERNAL TABLE a STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE FUNCTION f() RETURNS INT RETURN 1",
            "DROP TABLE events",
            "ALTER TABLE events ADD COLUMN a INT",
            "COPY events TO '/tmp/a.csv'",
            "COPY (SELECT 1) TO '/tmp/a.csv'",
            "EXPLAIN COPY events TO '/tmp/a.csv'",
            "EXPLAIN INSERT INTO events VALUES (1)",
            "SET datafusion.execution.batch_size = 1",
            "RESET datafusion.execution.batch_size",
            "PREPARE a AS SELECT 1",
            "EXECUTE a",
            "BEGIN",
            "COMMIT",
            "USE a",
            "ATTACH DATABASE 'a' AS b",
            "INSTALL httpfs",
            "LOAD httpfs",
            "PRAGMA a",
            "SELECT 1; SELECT 2",
            "SELECT 1; DROP TABLE events",
            "",
            ";",
        ] {
            assert!(is_refused(sql), "{sql}: {:?}", parse(sql, 1000));
        }
    }

    #[test]
    fn a_long_statement_is_refused_before_it_is_parsed() {
        assert!(matches!(parse(&"(".repeat(1001), 1000), Err(Error::SqlTooLong { bytes: 1001, limit_bytes: 1000 })));
        assert!(is_refused(&"(".repeat(1000)), "nesting has a limit");
    }
}
