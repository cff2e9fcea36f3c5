//! Operations that touch each number once where composed ones would touch it three or four times.
//!
//! They work in place and have no backward pass: candle cannot differentiate through them.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, bail};

/// `x + bias`, row by row.
pub(crate) struct Bias;

/// `gelu(x + bias)`, row by row, with the exact GELU: x Φ(x) = x (1 + erf(x / √2)) / 2.
///
/// Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).
pub(crate) struct BiasGelu;

/// `norm(x + bias + residual)`, row by row; the third operand has three rows: bias, scale and shift.
///
/// Ba, Kiros and Hinton, "Layer Normalization" (2016).
pub(crate) struct AddNorm {
    /// Added to the variance.
    pub epsilon: f32,
}

impl InplaceOp2 for Bias {
    fn name(&self) -> &'static str {
        "bias"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, x_layout: &Layout, bias: &CpuStorage, bias_layout: &Layout) -> Result<()> {
        add_bias(numbers_mut(x, x_layout)?, numbers(bias, bias_layout)?);
        Ok(())
    }
}

impl InplaceOp2 for BiasGelu {
    fn name(&self) -> &'static str {
        "bias-gelu"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, x_layout: &Layout, bias: &CpuStorage, bias_layout: &Layout) -> Result<()> {
        add_bias_and_gelu(numbers_mut(x, x_layout)?, numbers(bias, bias_layout)?);
        Ok(())
    }
}

impl InplaceOp3 for AddNorm {
    fn name(&self) -> &'static str {
        "add-norm"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        x_layout: &Layout,
        residual: &CpuStorage,
        r_layout: &Layout,
        rows: &CpuStorage,
        rows_layout: &Layout,
    ) -> Result<()> {
        add_and_norm(
            numbers_mut(x, x_layout)?,
            numbers(residual, r_layout)?,
            numbers(rows, rows_layout)?,
            self.epsilon,
        );
        Ok(())
    }
}

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice()?[start..end]),
        None => bail!("an operand is not contiguous"),
    }
}

fn numbers_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (layout.contiguous_offsets(), storage) {
        (Some((start, end)), CpuStorage::F32(numbers)) => Ok(&mut numbers[start..end]),
        _ => bail!("the operand to overwrite is not contiguous, or not of 32-bit floats"),
    }
}

/// Compiles a function twice, for any processor and for AVX2, and calls what this processor can run. The loops below
/// are written so that the compiler makes vector instructions of them.
macro_rules! vectorised {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $body:block) => {
        $(#[$doc])*
        fn $name($($arg: $type),*) {
            #[inline(always)]
            fn body($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn with_avx2($($arg: $type),*) {
                    body($($arg),*);
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: this processor has AVX2, which is all that the function asks beyond what any has.
                    return unsafe { with_avx2($($arg),*) };
                }
            }
            body($($arg),*);
        }
    };
}

vectorised! {
    fn add_bias(x: &mut [f32], bias: &[f32]) {
        for row in x.chunks_exact_mut(bias.len()) {
            for (x, bias) in row.iter_mut().zip(bias) {
                *x += bias;
            }
        }
    }
}

vectorised! {
    fn add_bias_and_gelu(x: &mut [f32], bias: &[f32]) {
        for row in x.chunks_exact_mut(bias.len()) {
            for (x, bias) in row.iter_mut().zip(bias) {
                *x = gelu(*x + bias);
            }
        }
    }
}

vectorised! {
    /// Two passes over a row that lies in the cache: its sum, then its variance about the mean, which loses no digits.
    fn add_and_norm(x: &mut [f32], residual: &[f32], rows: &[f32], epsilon: f32) {
        let width = rows.len() / 3;
        let (bias, rest) = rows.split_at(width);
        let (scale, shift) = rest.split_at(width);
        for (row, residual) in x.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
            for ((x, residual), bias) in row.iter_mut().zip(residual).zip(bias) {
                *x += residual + bias;
            }
            let mean = sum(row, |x| x) / width as f32;
            let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
            let norm = 1.0 / (variance + epsilon).sqrt();
            for ((x, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
                *x = (*x - mean) * norm * scale + shift;
            }
        }
    }
}

/// The sum of a function of each number, in sixteen partial sums, which vector registers hold side by side.
#[inline(always)]
fn sum(numbers: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    let mut partial = [0.0; LANES];
    for chunk in chunks {
        for (partial, &x) in partial.iter_mut().zip(chunk) {
            *partial += of(x);
        }
    }
    partial.iter().sum::<f32>() + rest.iter().map(|&x| of(x)).sum::<f32>()
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function as an odd rational function, right to about 3e-7 everywhere: enough for 32-bit floats, and
/// without the branches and the exponential of the exact one, which would take a third of an embedding's time.
///
/// The coefficients are those of Eigen's `erf` for floats: a minimax fit on [-4, 4], beyond which erf is ±1.
#[inline(always)]
fn erf(x: f32) -> f32 {
    const P: [f32; 7] =
        [-1.609_603_3e-2, -2.954_6e-3, -7.349_906_3e-4, -5.692_506_4e-5, -2.101_024e-6, 2.770_681_4e-8, -2.726_142e-10];
    const Q: [f32; 5] = [-1.426_473_9e-2, -7.373_329e-3, -1.682_827e-3, -2.133_740_6e-4, -1.456_607_2e-5];
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    x * polynomial(&P, square) / polynomial(&Q, square)
}

/// Horner's scheme; the lowest power comes first.
#[inline(always)]
fn polynomial(coefficients: &[f32], x: f32) -> f32 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    /// Values of Abramowitz and Stegun, "Handbook of Mathematical Functions", table 7.1.
    #[test]
    fn erf_is_that_of_the_table() {
        let table = [
            (0.0, 0.0),
            (0.1, 0.112_462_9),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (1.5, 0.966_105_1),
            (2.0, 0.995_322_3),
            (9.0, 1.0),
        ];
        for (x, expected) in table {
            assert!((erf(x) - expected).abs() < 4e-7, "erf({x}) = {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
    }

    fn tensor(rows: &[&[f32]]) -> Tensor {
        Tensor::new(rows.to_vec(), &Device::Cpu).unwrap()
    }

    fn check(found: &Tensor, expected: &Tensor) {
        let difference = (found - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 1e-5, "off by {difference}: {found} instead of {expected}");
    }

    /// A width that is no multiple of the lanes, so that the rest of a row is summed too.
    fn example(rows: usize, width: usize, seed: f32) -> Tensor {
        let numbers: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.7 + seed).sin() * 3.0).collect();
        Tensor::from_vec(numbers, (rows, width), &Device::Cpu).unwrap()
    }

    #[test]
    fn fused_operations_equal_candles_composed_ones() {
        let (x, residual, rows) = (example(3, 37, 0.1), example(3, 37, 0.5), example(3, 37, 0.9));
        let row = |i: usize| rows.get(i).unwrap();
        let biased = x.broadcast_add(&row(0)).unwrap();

        let bias = x.copy().unwrap();
        bias.inplace_op2(&row(0), &Bias).unwrap();
        check(&bias, &biased);

        let gelu = x.copy().unwrap();
        gelu.inplace_op2(&row(0), &BiasGelu).unwrap();
        check(&gelu, &biased.gelu_erf().unwrap());

        let normed = x.copy().unwrap();
        normed.inplace_op3(&residual, &rows, &AddNorm { epsilon: 1e-5 }).unwrap();
        check(&normed, &candle_nn::ops::layer_norm(&(biased + residual).unwrap(), &row(1), &row(2), 1e-5).unwrap());
    }

    #[test]
    fn what_is_not_contiguous_is_refused() {
        let x = tensor(&[&[1.0, 2.0], &[3.0, 4.0]]).t().unwrap();
        assert!(x.inplace_op2(&tensor(&[&[0.0, 0.0]]).get(0).unwrap(), &Bias).is_err());
    }
}
