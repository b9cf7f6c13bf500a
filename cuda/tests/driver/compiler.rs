//! The real NVRTC, where there is one: text becomes code, mistakes name their line, and functions say what they take.

use std::env;
use std::path::{Path, PathBuf};

use snn_cuda::check::instructions;
use snn_cuda::{Arch, Compiler, CudaError, Resources};

use crate::support::alone;

/// The version that the emulated NVRTC says.
const EMULATED: (u32, u32) = (13, 99);

/// A directory with the real NVRTC: one that is named, or `.cache/nvrtc` in the repository.
fn nvrtc() -> Option<PathBuf> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/nvrtc");
    let found = env::var_os("SNNC_CUDA_LIBS").map(PathBuf::from).or_else(|| kept.is_dir().then_some(kept));
    if found.is_none() {
        println!("skipped: SNNC_CUDA_LIBS names no directory with NVRTC, and there is no .cache/nvrtc");
    }
    found
}

/// The real NVRTC, in a process of its own.
pub fn compiler(test: &str) -> Option<&'static Compiler> {
    let directory = nvrtc()?;
    if !alone(test, &[("SNNC_CUDA_LIBS", directory.as_os_str())]) {
        return None;
    }
    let compiler = Compiler::open().unwrap();
    assert!(compiler.path().starts_with(&directory), "{} is another one", compiler.path().display());
    if compiler.version() == EMULATED {
        println!("skipped: {} is not the real NVRTC", compiler.path().display());
        return None;
    }
    Some(compiler)
}

const SUM: &str = r#"extern "C" __global__ void sum(float *out, const float *in, long long n) {
    __shared__ float parts[128];
    float sum = 0;
    for (long long i = threadIdx.x; i < n; i += 128) sum += in[i] * in[i];
    parts[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int i = 1; i < 128; ++i) sum += parts[i];
        *out = sum;
    }
}
"#;

#[test]
fn text_becomes_code_for_every_architecture() {
    let Some(compiler) = compiler("compiler::text_becomes_code_for_every_architecture") else { return };
    for arch in Arch::ALL {
        let compiled = compiler.compile("sum.cu", SUM, arch.name()).unwrap();
        assert!(!compiled.is_ptx && compiled.image.starts_with(b"\x7fELF"), "{}", arch.name());
        let [sum] = &compiled.resources[..] else { panic!("{}", compiled.log) };
        assert_eq!((sum.function.as_str(), sum.shared_bytes), ("sum", 512), "{}", compiled.log);
        assert!((8..=64).contains(&sum.registers), "{sum:?}");
        assert_eq!((sum.stack_bytes, sum.spill_stores, sum.spill_loads), (0, 0, 0), "{sum:?}");
        let again = compiler.compile("sum.cu", SUM, arch.name()).unwrap();
        assert_eq!(compiled.image, again.image, "the same text gives the same code");
    }
    let ptx = compiler.compile("sum.cu", SUM, "compute_90").unwrap();
    assert!(ptx.is_ptx && String::from_utf8_lossy(&ptx.image).contains(".entry sum"));
}

#[test]
fn functions_of_the_prelude_compile_wherever_they_are() {
    let Some(compiler) = compiler("compiler::functions_of_the_prelude_compile_wherever_they_are") else { return };
    for arch in Arch::ALL {
        let mut emissions: Vec<_> = instructions(arch).iter().map(|check| check.emission(arch)).collect();
        emissions.dedup_by(|a, b| a.units[0].text == b.units[0].text);
        for unit in emissions.iter().flat_map(|emission| &emission.units) {
            let compiled = compiler.compile(&unit.name, &unit.text, arch.name()).unwrap();
            let spills = |resources: &&Resources| resources.spill_stores + resources.stack_bytes > 0;
            assert_eq!(compiled.resources.iter().find(spills), None, "{}", compiled.log);
            assert!(!compiled.log.contains("warning"), "{}", compiled.log);
        }
    }
}

#[test]
fn nothing_is_fused_that_is_not_written_so() {
    let Some(compiler) = compiler("compiler::nothing_is_fused_that_is_not_written_so") else { return };
    let ptx = compiler.compile("sum.cu", SUM, "compute_80").unwrap();
    let text = String::from_utf8_lossy(&ptx.image).into_owned();
    assert!(text.contains("mul.rn.f32") && !text.contains("fma.rn.f32"), "{text}");
}

#[test]
fn spills_are_seen() {
    let Some(compiler) = compiler("compiler::spills_are_seen") else { return };
    let text = r#"extern "C" __global__ void __launch_bounds__(1024, 2) spilling(float *p) {
    float v[96];
    #pragma unroll
    for (int i = 0; i < 96; ++i) v[i] = p[i * 1024 + threadIdx.x];
    __syncthreads();
    #pragma unroll
    for (int i = 0; i < 96; ++i) p[(95 - i) * 1024 + threadIdx.x] = v[i] * v[(i * 7 + 3) % 96];
}
"#;
    let compiled = compiler.compile("spilling.cu", text, "sm_90").unwrap();
    assert!(compiled.resources[0].spill_stores > 0 && compiled.resources[0].stack_bytes > 0, "{}", compiled.log);
}

#[test]
fn mistakes_name_their_line() {
    let Some(compiler) = compiler("compiler::mistakes_name_their_line") else { return };
    let text = "#line 1 \"kernels.cu\"\nextern \"C\" __global__ void k(float *p) {\n    p[0] = no_such_name;\n}\n";
    let error = compiler.compile("unit0.cu", text, "sm_90").unwrap_err();
    let CudaError::Compile { unit, target, log } = &error else { panic!("{error}") };
    assert_eq!((unit.as_str(), target.as_str()), ("unit0.cu", "sm_90"));
    assert!(log.contains("kernels.cu(2)") && log.contains("no_such_name"), "{log}");
    let unknown = compiler.compile("sum.cu", SUM, "sm_999").unwrap_err();
    assert!(matches!(unknown, CudaError::Compile { .. }), "{unknown}");
    let nul = compiler.compile("sum.cu", "a\0b", "sm_90").unwrap_err();
    assert!(matches!(nul, CudaError::Emission(_)), "{nul}");
}

#[test]
fn units_compile_side_by_side() {
    let Some(compiler) = compiler("compiler::units_compile_side_by_side") else { return };
    let images: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| compiler.compile("sum.cu", SUM, "sm_80").unwrap().image)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(images.iter().all(|image| *image == images[0]));
}
