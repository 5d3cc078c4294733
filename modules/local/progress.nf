// How far a run has come, as a person reads it.

// What is counted: sections of the samplesheet, those done and those that failed; times in ms.
def startedProgress() {
    def counts = ['sections', 'done', 'failed']
        .collectEntries { name -> [name, new java.util.concurrent.atomic.AtomicInteger()] }
    return counts + [started: System.currentTimeMillis(), said: new java.util.concurrent.atomic.AtomicLong()]
}

// Counts a section as done or failed, and says how far the run is: at most once a minute, and when the last one ends.
def advance(progress, outcome) {
    progress[outcome].incrementAndGet()
    def now = System.currentTimeMillis()
    def last = progress.said.get()
    def is_last = progress.done.get() + progress.failed.get() >= progress.sections.get()
    if ((is_last || now - last >= 60000) && progress.said.compareAndSet(last, now)) {
        log.info(inWords(progress, now - progress.started))
    }
}

// For instance: 37 of 200 sections done, 1 failed, 162 to go; some 25 min left.
def inWords(progress, elapsed) {
    def (sections, done, failed) = [progress.sections.get(), progress.done.get(), progress.failed.get()]
    def left = sections - done - failed
    def others = (failed ? ["${failed} failed"] : []) + (left > 0 ? ["${left} to go"] : [])
    def said = ["${done} of ${sections} sections done"] + others
    def minutes = done ? Math.ceil(elapsed * left / done / 60000) as int : 0
    return "efnst: ${said.join(', ')}" + (minutes ? "; some ${minutes} min left" : '')
}
