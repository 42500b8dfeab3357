//! What a guest's runtime gets where it asks the system for something: a small module that
//! answers the functions of WASI's first preview. There are no arguments, variables, files
//! or descriptors; what is written is dropped; time is a counter; what is random is a fixed
//! row; waiting and leaving end the call.
//!
//! Nothing of it reaches the machine: it imports the guest's memory, and nothing else.
//! Owns nothing.

use wasm_encoder::{
    CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, GlobalType, ImportSection, InstructionSink, MemArg, MemoryType, Module,
    TypeSection, ValType,
};

/// What guests call it.
pub const NAME: &str = "wasi_snapshot_preview1";
/// `errno::success` and `errno::badf`.
const SUCCESS: i32 = 0;
const NO_SUCH_FILE: i32 = 8;
/// What the clock moves on with each look, nanoseconds.
const TICK: i64 = 1_000_000;
/// Where the counter begins and how it goes on: a linear congruential row, by Knuth.
const ROW_BEGINS: i64 = 1_442_695_040_888_963_407;
const ROW_FACTOR: i64 = 6_364_136_223_846_793_005;
/// Its two variables.
const CLOCK: u32 = 0;
const ROW: u32 = 1;

use ValType::{I32, I64};

/// A function: its name, what it takes, whether it answers, how many more numbers it keeps
/// and what it does.
type Answer = (
    &'static str,
    &'static [ValType],
    bool,
    u32,
    fn(&mut InstructionSink<'_>),
);

/// Every function that a runtime may ask for.
const ANSWERS: [Answer; 21] = [
    ("args_get", &[I32, I32], true, 0, succeed),
    ("args_sizes_get", &[I32, I32], true, 0, no_sizes),
    ("environ_get", &[I32, I32], true, 0, succeed),
    ("environ_sizes_get", &[I32, I32], true, 0, no_sizes),
    ("clock_res_get", &[I32, I32], true, 0, resolution),
    ("clock_time_get", &[I32, I64, I32], true, 0, time),
    ("random_get", &[I32, I32], true, 0, random),
    ("sched_yield", &[], true, 0, succeed),
    ("fd_write", &[I32, I32, I32, I32], true, 1, write),
    ("fd_read", &[I32, I32, I32, I32], true, 0, no_file),
    ("fd_close", &[I32], true, 0, no_file),
    ("fd_seek", &[I32, I64, I32, I32], true, 0, no_file),
    ("fd_fdstat_get", &[I32, I32], true, 0, no_file),
    ("fd_fdstat_set_flags", &[I32, I32], true, 0, no_file),
    ("fd_filestat_get", &[I32, I32], true, 0, no_file),
    ("fd_prestat_get", &[I32, I32], true, 0, no_file),
    ("fd_prestat_dir_name", &[I32, I32, I32], true, 0, no_file),
    ("path_filestat_get", &[I32; 5], true, 0, no_file),
    (
        "path_open",
        &[I32, I32, I32, I32, I32, I64, I64, I32, I32],
        true,
        0,
        no_file,
    ),
    ("poll_oneoff", &[I32; 4], true, 0, end),
    ("proc_exit", &[I32], false, 0, end),
];

/// The module.
pub fn module() -> Vec<u8> {
    let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
    let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
    for (index, (name, takes, answers, keeps, does)) in (0..).zip(ANSWERS) {
        let answer = answers.then_some(I32);
        types.ty().function(takes.iter().copied(), answer);
        functions.function(index);
        exports.export(name, ExportKind::Func, index);
        let mut body = Function::new([(keeps, I32)]);
        let mut sink = body.instructions();
        does(&mut sink);
        sink.end();
        code.function(&body);
    }
    let memory = MemoryType {
        minimum: 0,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    let mut imports = ImportSection::new();
    imports.import("env", "memory", EntityType::Memory(memory));
    let mut globals = GlobalSection::new();
    for begins in [0, ROW_BEGINS] {
        let kind = GlobalType {
            val_type: I64,
            mutable: true,
            shared: false,
        };
        globals.global(kind, &ConstExpr::i64_const(begins));
    }
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions);
    module.section(&globals).section(&exports).section(&code);
    module.finish()
}

fn at(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 0,
        memory_index: 0,
    }
}

fn succeed(sink: &mut InstructionSink<'_>) {
    sink.i32_const(SUCCESS);
}

fn no_file(sink: &mut InstructionSink<'_>) {
    sink.i32_const(NO_SUCH_FILE);
}

fn end(sink: &mut InstructionSink<'_>) {
    sink.unreachable();
}

/// Nothing, and nothing of it in bytes.
fn no_sizes(sink: &mut InstructionSink<'_>) {
    for place in [0, 1] {
        sink.local_get(place).i32_const(0).i32_store(at(0));
    }
    succeed(sink);
}

fn resolution(sink: &mut InstructionSink<'_>) {
    sink.local_get(1).i64_const(TICK).i64_store(at(0));
    succeed(sink);
}

fn time(sink: &mut InstructionSink<'_>) {
    sink.global_get(CLOCK).i64_const(TICK).i64_add();
    sink.global_set(CLOCK);
    sink.local_get(2).global_get(CLOCK).i64_store(at(0));
    succeed(sink);
}

/// Byte for byte the upper bits of the row.
fn random(sink: &mut InstructionSink<'_>) {
    use wasm_encoder::BlockType::Empty;
    let (place, left) = (0, 1);
    sink.block(Empty).loop_(Empty);
    sink.local_get(left).i32_eqz().br_if(1);
    sink.global_get(ROW).i64_const(ROW_FACTOR).i64_mul();
    sink.i64_const(ROW_BEGINS).i64_add().global_set(ROW);
    sink.local_get(place).global_get(ROW);
    sink.i64_const(56).i64_shr_u().i32_wrap_i64();
    sink.i32_store8(at(0));
    sink.local_get(place)
        .i32_const(1)
        .i32_add()
        .local_set(place);
    sink.local_get(left).i32_const(1).i32_sub().local_set(left);
    sink.br(0).end().end();
    succeed(sink);
}

/// Counts what was to be written, so that nobody tries the rest again.
fn write(sink: &mut InstructionSink<'_>) {
    use wasm_encoder::BlockType::Empty;
    let (part, left, written, sum) = (1, 2, 3, 4);
    sink.block(Empty).loop_(Empty);
    sink.local_get(left).i32_eqz().br_if(1);
    sink.local_get(sum)
        .local_get(part)
        .i32_load(at(4))
        .i32_add();
    sink.local_set(sum);
    sink.local_get(part).i32_const(8).i32_add().local_set(part);
    sink.local_get(left).i32_const(1).i32_sub().local_set(left);
    sink.br(0).end().end();
    sink.local_get(written).local_get(sum).i32_store(at(0));
    succeed(sink);
}
