//! scratch
use snn_lang::source::NoFiles;
fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).unwrap();
        let t = std::time::Instant::now();
        let c = snn_lang::compile(&NoFiles, &path, &text, &snn_lang::Options::default());
        eprintln!("== {path}: {} models {} tests {} diags in {:?}", c.models.len(), c.tests.len(), c.diagnostics.len(), t.elapsed());
        for d in c.diagnostics.iter().take(12) {
            print!("{}", snn_lang::render::render(d, &c.sources, false));
        }
        if std::env::var("V").is_ok() {
        for m in &c.models {
            for s in &m.stages { println!("{:indent$}{} {} {} params={}", "", s.path, s.name, s.ty, s.parameters, indent = s.depth*2); }
            for p in &m.model.parameters { println!("  {} {:?} {:?}", p.path, p.dims, p.init); }
            for p in &m.model.averages { println!("  avg {} {:?} {}", p.path, p.dims, p.stored.len()); }
            for p in &m.model.spikes { println!("  spikes {} {}", p.path, m.model.graph.ty(p.node)); }
            println!("out {} nodes {}", m.model.graph.ty(m.model.output), m.model.graph.len());
            println!("{:?}", m.train);
            if let Some(c) = &m.convert { println!("{:?} {:?}", c.keep, c.variants.iter().map(|v| &v.settings).collect::<Vec<_>>()); }
        }}
    }
}
