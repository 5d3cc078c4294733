// How far a run has come, and what it has to tell, as a person reads it.

// The lines of files such as warnings.txt in the log of the run.
def tell(warnings) {
    warnings.splitText().subscribe { line -> log.warn("efnst: ${line.trim()}") }
}

// Steps that each section passes, and what they take of a section of 1,000 spots, in seconds of CPU (docs/scaling.md).
def stepCosts() {
    return [read: 2, prepared: 14, learned: 10, assigned: 5, described: 9, done: 2]
}

// What is counted: sections of the samplesheet, how many have passed each step, and those that failed; times in ms.
def startedProgress() {
    def now = System.currentTimeMillis()
    def counts = (['sections', 'failed'] + stepCosts().keySet())
        .collectEntries { name -> [name, new java.util.concurrent.atomic.AtomicInteger()] }
    return counts + [started: now, said: new java.util.concurrent.atomic.AtomicLong(now)]
}

// Counts a section that has passed a step or failed. Says how far the run is, at most once a minute, and when the last
// section ends: all sections pass one step before the next, so that none is done for most of a run.
def advance(progress, outcome) {
    progress[outcome].incrementAndGet()
    def now = System.currentTimeMillis()
    def last = progress.said.get()
    def is_last = progress.done.get() + progress.failed.get() >= progress.sections.get()
    if ((is_last && outcome in ['done', 'failed'] || now - last >= 60000) && progress.said.compareAndSet(last, now)) {
        log.info(inWords(progress.subMap(['sections', 'failed'] + stepCosts().keySet()), now - progress.started))
    }
}

// For instance: 37 of 200 sections done, 1 failed, 162 to go (200 read, 150 learned); some 25 min left.
def inWords(progress, elapsed) {
    def counts = progress.collectEntries { name, count -> [name, count as int] }
    def left = counts.sections - counts.done - counts.failed
    def others = (counts.failed ? ["${counts.failed} failed"] : []) + (left > 0 ? ["${left} to go"] : [])
    def passed = ['read', 'learned', 'assigned'].findAll { step -> left > 0 && counts[step] > counts.done }
    def steps = passed.collect { step -> "${counts[step]} ${step == 'assigned' ? 'with domains' : step}" }
    def minutes = left > 0 ? minutesLeft(counts, elapsed) : 0
    def said = (["${counts.done} of ${counts.sections} sections done"] + others).join(', ')
    return "efnst: ${said}" + (steps ? " (${steps.join(', ')})" : '') + (minutes ? "; some ${minutes} min left" : '')
}

// How long what is left takes, if it goes on as so far; sections that failed are not counted on.
def minutesLeft(counts, elapsed) {
    def costs = stepCosts()
    def all = costs.values().sum() * (counts.sections - counts.failed)
    def passed = costs.collect { step, cost -> cost * counts[step] }.sum()
    return passed ? Math.ceil((elapsed as long) * Math.max(all - passed, 0) / passed / 60000) as int : 0
}
