//! Functions whose answer can be larger than what they are given, with a limit on how large.
//!
//! The memory limit of a query sees what operators keep, not what one function makes within one call: a text doubled
//! thirty times over by nested `concat`s would be a terabyte before anything counts it. So these functions are told,
//! before each call, the most that it can make; too large a call is made in parts, and what comes of them is counted.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::concat_elements::concat_elements_dyn;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

/// The most that one call may make: a batch of 8192 rows with 32 KiB in each.
const MAX_MADE_BYTES: usize = 256 << 20;

/// How the size of an answer follows from the sizes of the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// All arguments once.
    Sum,
    /// All arguments, and the one at this place (the separator) between all parts of the others.
    Join(usize),
    /// The first, with the last in place of the second wherever that is.
    Replace,
    /// The first, with the third in place of every match, which may repeat the match.
    Substitute,
    /// The first, once for each group of the second.
    Match,
    /// What a format describes: no directive writes more than a few dozen characters.
    Format,
}

/// The longest that a directive of a time format writes ("Wednesday September …"), for each of its two characters.
const FORMAT_GROWTH: usize = 32;

fn growth_of(function: &str) -> Option<Growth> {
    Some(match function {
        "concat" | "overlay" | "make_array" | "array_concat" | "array_append" | "array_prepend" | "array_union"
        | "map" => Growth::Sum,
        "concat_ws" => Growth::Join(0),
        "array_to_string" => Growth::Join(1),
        "replace" | "array_replace" | "array_replace_n" | "array_replace_all" => Growth::Replace,
        "regexp_replace" => Growth::Substitute,
        "regexp_match" => Growth::Match,
        "to_char" => Growth::Format,
        _ => return None,
    })
}

/// The plan with bounded functions in place of those that are not, `||` among them.
pub(crate) fn bounded(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        node.map_expressions(|expr| expr.transform_up(|expr| Ok(bounded_expr(expr))))
    })?;
    Ok(plan.data)
}

fn bounded_expr(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) => match growth_of(func.name()) {
            Some(growth) => {
                let func = Arc::new(ScalarUDF::new_from_impl(Bounded { inner: func, growth }));
                Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
            }
            None => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            let inner = Arc::new(ScalarUDF::new_from_impl(Concatenation::new()));
            let func = Arc::new(ScalarUDF::new_from_impl(Bounded { inner, growth: Growth::Sum }));
            Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: vec![*left, *right] }))
        }
        expr => Transformed::no(expr),
    }
}

/// A function that refuses to make more than [`MAX_MADE_BYTES`] in one call.
#[derive(Debug, Clone)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

/// What the planner asks is answered by the function itself, but for shortcuts: those lead to functions without a limit.
impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            self.check(self.growth.most(&args.args, 1)?)?;
            return self.inner.invoke_with_args(args);
        }
        let mut made = 0;
        self.made(args, &mut made).map(ColumnarValue::Array)
    }
}

impl Bounded {
    /// Calls the function for all rows at once, or, when that could make too much, for each half of them.
    fn made(&self, args: ScalarFunctionArgs, made: &mut usize) -> Result<ArrayRef> {
        let rows = args.number_rows;
        let most = self.growth.most(&args.args, rows)?;
        if most <= MAX_MADE_BYTES || rows <= 1 {
            self.check(most)?;
            let answer = self.inner.invoke_with_args(args)?.into_array(rows)?;
            *made = made.saturating_add(Sizes::of_array(&answer)?.total(rows));
            self.check(*made)?;
            return Ok(answer);
        }
        let half = rows / 2;
        let first = self.made(part(&args, 0, half), made)?;
        let second = self.made(part(&args, half, rows - half), made)?;
        Ok(concat(&[&first, &second])?)
    }

    fn check(&self, bytes: usize) -> Result<()> {
        if bytes <= MAX_MADE_BYTES {
            return Ok(());
        }
        let name = self.name();
        let limit = MAX_MADE_BYTES >> 20;
        Err(DataFusionError::ResourcesExhausted(format!("{name} would make more than {limit} MiB in one call")))
    }
}

/// The arguments for some of the rows.
fn part(args: &ScalarFunctionArgs, from: usize, rows: usize) -> ScalarFunctionArgs {
    let slice = |arg: &ColumnarValue| match arg {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(from, rows)),
        ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
    };
    ScalarFunctionArgs { args: args.args.iter().map(slice).collect(), number_rows: rows, ..args.clone() }
}

impl Growth {
    /// The most bytes that these arguments can become.
    fn most(self, args: &[ColumnarValue], rows: usize) -> Result<usize> {
        let sizes = args.iter().map(Sizes::of).collect::<Result<Vec<_>>>()?;
        let size = |place: usize, row: usize| sizes.get(place).map_or(0, |sizes| sizes.bytes(row));
        let of_row = |row: usize| match self {
            Self::Sum => sizes.iter().fold(0, |sum: usize, sizes| sum.saturating_add(sizes.bytes(row))),
            Self::Join(separator) => {
                let all = sizes.iter().fold(0, |sum: usize, sizes| sum.saturating_add(sizes.bytes(row)));
                let parts = sizes.iter().fold(0, |sum: usize, sizes| sum.saturating_add(sizes.parts(row)));
                all.saturating_add(parts.saturating_mul(size(separator, row)))
            }
            Self::Replace => {
                let places = sizes.first().map_or(0, |of| of.places(row, size(1, row)));
                size(0, row).saturating_add(places.saturating_mul(size(2, row)))
            }
            Self::Substitute => {
                let repeats = size(2, row) / 2 + 1;
                let literal = (size(0, row) + 1).saturating_mul(size(2, row));
                size(0, row).saturating_mul(repeats).saturating_add(literal)
            }
            Self::Match => size(0, row).saturating_mul(size(1, row) / 2 + 1),
            Self::Format => size(1, row).saturating_mul(FORMAT_GROWTH),
        };
        Ok((0..rows).fold(0, |sum: usize, row| sum.saturating_add(of_row(row))))
    }
}

/// How large the values of an argument are.
enum Sizes {
    /// Texts, by row.
    Texts(Vec<usize>),
    /// Lists, by row: parts, and bytes of each on average.
    Lists(Vec<usize>, usize),
    /// Anything else: bytes of each.
    Each(usize),
    /// One value for all rows.
    Same(usize, usize),
}

impl Sizes {
    fn of(value: &ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Array(array) => Self::of_array(array),
            ColumnarValue::Scalar(value) => {
                let sizes = Self::of_array(&value.to_array()?)?;
                Ok(Self::Same(sizes.bytes(0), sizes.parts(0)))
            }
        }
    }

    fn of_array(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
                // Views need no copy of the text, and have its length in their first 32 bits.
                let views = cast(array, &DataType::Utf8View)?;
                Self::Texts(views.as_string_view().views().iter().map(|view| *view as u32 as usize).collect())
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let parts: Vec<usize> =
                    list.value_offsets().windows(2).map(|ends| (ends[1] - ends[0]) as usize).collect();
                let values = list.values();
                Self::Lists(parts, values.get_array_memory_size().div_ceil(values.len().max(1)))
            }
            _ => Self::Each(array.to_data().get_slice_memory_size()?.div_ceil(array.len().max(1))),
        })
    }

    fn bytes(&self, row: usize) -> usize {
        match self {
            Self::Texts(lengths) => lengths.get(row).copied().unwrap_or(0),
            Self::Lists(parts, each) => parts.get(row).copied().unwrap_or(0).saturating_mul(*each),
            Self::Each(bytes) | Self::Same(bytes, _) => *bytes,
        }
    }

    fn parts(&self, row: usize) -> usize {
        match self {
            Self::Lists(parts, _) => parts.get(row).copied().unwrap_or(0),
            Self::Same(_, parts) => *parts,
            Self::Texts(_) | Self::Each(_) => 1,
        }
    }

    /// At how many places something of `bytes` can be replaced.
    fn places(&self, row: usize, bytes: usize) -> usize {
        match self {
            Self::Lists(..) => self.parts(row),
            Self::Same(..) if self.parts(row) > 1 => self.parts(row),
            // An empty text is found between all characters, and at both ends.
            _ => self.bytes(row) / bytes.max(1) + 1,
        }
    }

    fn total(&self, rows: usize) -> usize {
        (0..rows).fold(0, |sum: usize, row| sum.saturating_add(self.bytes(row)))
    }
}

/// The operator `||` as a function: unlike `concat`, nothing comes of nothing and something.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concatenation {
    signature: Signature,
}

impl Concatenation {
    fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }

    fn result(left: &DataType, right: &DataType) -> Result<DataType> {
        BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_result_type()
    }
}

impl ScalarUDFImpl for Concatenation {
    fn name(&self) -> &'static str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Self::result(&arg_types[0], &arg_types[1])
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let [left, right] = args.arg_fields else { return Err(DataFusionError::Plan("|| takes two".to_owned())) };
        let result = Self::result(left.data_type(), right.data_type())?;
        Ok(Arc::new(Field::new(self.name(), result, left.is_nullable() || right.is_nullable())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let result = args.return_field.data_type();
        let texts = args.args.into_iter().map(|arg| Ok(cast(&arg.into_array(rows)?, result)?));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let joined = concat_elements_dyn(&texts[0], &texts[1])?;
        Ok(if scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?)
        } else {
            ColumnarValue::Array(joined)
        })
    }
}
