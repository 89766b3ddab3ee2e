//! Compiles the C that our increment is measured against: with the machine's own `cc`, optimised.

fn main() {
    println!("cargo::rerun-if-changed=src/count.c");
    cc::Build::new()
        .file("src/count.c")
        .opt_level(3)
        .flag_if_supported("-std=c11")
        .compile("count");
}
