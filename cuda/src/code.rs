//! Compiled text, and what its functions take of a multiprocessor, from the assembler's report.
//!
//! Must never know how text is compiled.

/// Code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// What a driver loads.
    pub image: Vec<u8>,
    /// Whether the driver has to compile it further.
    pub is_ptx: bool,
    /// What the compiler said.
    pub log: String,
    /// What its functions take, as far as the log says.
    pub resources: Vec<Resources>,
}

impl Compiled {
    /// Code with its compiler's log.
    pub fn new(image: Vec<u8>, is_ptx: bool, log: String) -> Compiled {
        Compiled { image, is_ptx, resources: parse(&log), log }
    }
}

/// What one function takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// The function's name.
    pub function: String,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of a thread's stack.
    pub stack_bytes: u32,
    /// Bytes that are stored because registers do not suffice.
    pub spill_stores: u32,
    /// Bytes that are loaded back.
    pub spill_loads: u32,
    /// Bytes of shared memory that every block has, besides what a launch asks for.
    pub shared_bytes: u32,
}

/// The functions of a compiler's log, in its order; lines that say something else are skipped.
fn parse(log: &str) -> Vec<Resources> {
    let mut all: Vec<Resources> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let function = rest.split('\'').next().unwrap_or_default().to_owned();
            all.push(Resources { function, ..Resources::default() });
            continue;
        }
        let Some(last) = all.last_mut() else { continue };
        let said = |what: &str| number_before(line, what);
        last.registers = said(" registers").unwrap_or(last.registers);
        last.stack_bytes = said(" bytes stack frame").unwrap_or(last.stack_bytes);
        last.spill_stores = said(" bytes spill stores").unwrap_or(last.spill_stores);
        last.spill_loads = said(" bytes spill loads").unwrap_or(last.spill_loads);
        last.shared_bytes = said(" bytes smem").unwrap_or(last.shared_bytes);
    }
    all
}

/// The number that stands right before some words of a line.
fn number_before(line: &str, words: &str) -> Option<u32> {
    let before = line.get(..line.find(words)?)?;
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_function_by_function() {
        let log = "ptxas info    : 0 bytes gmem\n\
                   ptxas info    : Compiling entry function 'one' for 'sm_90a'\n\
                   ptxas info    : Function properties for one\n\
                   \x20   8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n\
                   ptxas info    : Used 30 registers, used 1 barriers, 1024 bytes smem, 384 bytes cmem[0]\n\
                   ptxas info    : Compiling entry function 'two' for 'sm_90a'\n\
                   ptxas info    : Used 255 registers, used 0 barriers\n";
        let one = Resources {
            function: "one".into(),
            registers: 30,
            stack_bytes: 8,
            spill_stores: 4,
            spill_loads: 12,
            shared_bytes: 1024,
        };
        let two = Resources { function: "two".into(), registers: 255, ..Resources::default() };
        assert_eq!(parse(log), [one, two]);
        assert!(parse("nothing of interest, Used 3 registers").is_empty());
    }
}
