// What would stop a run only after minutes, or hours in a queue, found before anything starts.

include { fileProblem ; withoutSecrets } from './addresses'
include { describedParameters ; inputParameters ; isTrue } from './values'

// One line for each thing that `settings` (the parameters) and the work folder's address ask for and that is not there.
def platformProblems(settings, work) {
    def problems = engineProblems(settings) + imageProblems(settings) + clusterProblems(settings)
    return problems + cloudProblems(settings, work) + gpuProblems(settings)
}

// Parameters of text that the schema does not allow: some reach the scripts around the tasks before CHECK_INPUTS sees
// them.
def textProblems(settings) {
    def rules = describedParameters().findAll { _name, about -> about.pattern }
    def given = rules.findAll { name, _about -> settings[name] != null }
    def wrong = given.findAll { name, about -> !(settings[name].toString() ==~ about.pattern) }
    return wrong.collect { name, about ->
        "parameter --${name}: found `${withoutSecrets(settings[name].toString())}`, ${about.errorMessage}"
    }
}

// Parameters that a configuration sets too late: Nextflow reads those of profiles, -c and the launch folder's
// nextflow.config when it has read conf/ with the ones from before, so that they would take effect by half.
def lateProblems(settings) {
    def early = nextflow.Global.config.process.ext.read_early
    return early
        .findAll { name, value -> value.toString() != settings[name].toString() }
        .collect { name, _value ->
            def found = withoutSecrets(settings[name].toString())
            "Expected --${name}, or ${name} in a file for -params-file, found params.${name} = `${found}` in a " +
                "configuration, which is read too late. Give --${name} ${found}."
        }
}

// Parameters that name a file or folder by an address with a password or a signature.
def secretProblems(settings) {
    def names = describedParameters().findAll { name, about -> about.format && settings[name] }.keySet()
    def shown = names.collectEntries { name -> [name, withoutSecrets(settings[name].toString())] }
    def wrong = shown.findAll { name, text -> text != settings[name].toString() }
    return wrong.collect { name, text ->
        "parameter --${name}: found `${text}`, expected an address without password and query, which were cut out " +
            'here and would stand in logs; fetch the file, or let Nextflow have the password (its configuration or ' +
            'environment)'
    }
}

// What Nextflow cannot bring to a task, since it is not there, or its own scripts would act on these characters, or
// lose them. The samplesheet is copied, and `referenceProblems` tells of the reference.
def pathProblems(settings) {
    return (inputParameters(settings) - 'input').collectMany { name ->
        def path = file(settings[name], glob: false).toAbsolutePath().toString()
        def problem = name == 'reference' ? null : fileProblem(settings[name])
        def odd = "expected a path without *?[]{}, \$NAME and control characters; rename it"
        def found = path =~ /[*?\[\]{}\p{Cntrl}]|\$[\w$@#-]/ ? [path, odd] : [settings[name], problem]
        found[1] ? ["parameter --${name}: found `${found[0]}`, ${found[1]}"] : []
    }
}

// What is wrong with the address of a reference; CHECK_INPUTS looks at its files.
def referenceProblems(address) {
    def problem = address ? fileProblem(address) : null
    def folder = address && !problem ? file(address, glob: false) : null
    if (!problem && (!folder || folder.resolve('reference.json').exists())) {
        return []
    }
    def below = folder?.resolve('reference/reference.json')?.exists()
    def found = problem ?: 'which has no reference.json'
    def advice = below ? "Give `${address}/reference`" : 'Give that folder'
    return [
        "Expected --reference to name the folder `reference` of a cohort's run, found `${address}`, ${found}. " +
            "${advice}."
    ]
}

def engineProblems(settings) {
    def own_name = ['docker', 'podman', 'apptainer', 'singularity', 'conda'].find { name -> name == settings.engine }
    def command = settings.engine == 'charliecloud' ? 'ch-run' : own_name
    if (!command || settings.scheduler) {
        return [] // the nodes may have what this machine lacks
    }
    if (!onPath(command)) {
        return [
            "Expected `${command}` on the PATH for -profile ${settings.engine}, found none. " +
                'Install it, load its module, or choose another profile.'
        ]
    }
    def answers = !(command in ['docker', 'podman']) || answer([command, 'info']) != null
    return answers ? [] : [
        "Expected `${command} info` to answer, found that it fails. " +
            'Start its service, or ask to be allowed to use it.'
    ]
}

def imageProblems(settings) {
    def images = [settings.image, settings.multiqc_image] + (isTrue(settings.use_gpu) ? [settings.gpu_image] : [])
    def names = images.collect { image -> image.tokenize(':').first() }
    def make = "./efnst images ${settings.engine} --only ${names.join(',')}"
    if (settings.engine in ['apptainer', 'singularity', 'charliecloud']) {
        return fileImageProblems(settings, images, make)
    }
    if (settings.engine && settings.image_folder) {
        return [
            'Expected --image_folder with apptainer, singularity or charliecloud, ' +
                "found it with ${settings.engine}, which takes images by name."
        ]
    }
    def elsewhere = settings.scheduler || settings.image_registry
    if (!(settings.engine in ['docker', 'podman']) || elsewhere || !onPath(settings.engine)) {
        return []
    }
    def missing = images.findAll { image -> answer([settings.engine, 'image', 'inspect', image]) == null }
    return missing.collect { image ->
        "Expected the image ${image} on this machine, found none. Make it with `${make}`, " +
            'or say where to pull it from with --image_registry.'
    }
}

// Engines whose images are files.
def fileImageProblems(settings, images, make) {
    if (!settings.image_folder) {
        def engine = settings.engine
        return settings.image_registry ? [] : [
            "Expected --image_folder or --image_registry for -profile ${engine}, found neither. " +
                "`${make}` makes the images."
        ]
    }
    def paths = images.collect { image -> "${settings.image_folder}/${image.replace(':', '-')}.img" }
    return paths
        .findAll { path -> !file(path).exists() }
        .collect { path ->
            "Expected the image ${path}, found none. `${make} --folder ${settings.image_folder}` makes it."
        }
}

def clusterProblems(settings) {
    def command = [slurm: 'sbatch', lsf: 'bsub', sge: 'qsub'].get(settings.scheduler)
    if (!command) {
        return []
    }
    if (!onPath(command)) {
        return [
            "Expected `${command}` on the PATH for -profile ${settings.scheduler}, found none. " +
                'Start the run on a machine that may submit jobs.'
        ]
    }
    return settings.scheduler == 'slurm' ? slurmProblems(settings) : []
}

// Slurm says which partitions there are and which of them have GPUs.
def slurmProblems(settings) {
    def partitions = (answer(['sinfo', '-h', '-o', '%R %G']) ?: '').readLines().collect { line -> line.tokenize(' ') }
    if (!partitions) {
        return ['Expected `sinfo` to list partitions, found none. Is the Slurm controller running?']
    }
    def names = partitions.collect { row -> row[0] }.unique()
    def asked = [settings.queue] + (isTrue(settings.use_gpu) ? [settings.gpu_queue] : [])
    def unknown = asked.findAll { queue -> queue && !queue.tokenize(',').every { name -> name in names } }
    def problems = unknown.collect { name ->
        "Expected a partition of Slurm, found `${name}`. There are: ${names.join(', ')}."
    }
    def queue = settings.gpu_queue ?: settings.queue
    def gpus = partitions.any { row -> row[1]?.contains('gpu') && (!queue || row[0] in queue.tokenize(',')) }
    if (!isTrue(settings.use_gpu) || gpus) {
        return problems
    }
    return problems + [
        "Expected nodes with GPUs in ${queue ? "partition `${queue}`" : 'Slurm'}, found none. " +
            'Name their partition with --gpu_queue, or leave gpu out of -profile.'
    ]
}

def cloudProblems(settings, work) {
    def cloud = [
        awsbatch: ['s3://', ['queue', 'region', 'image_registry']],
        'google-batch': ['gs://', ['project', 'region', 'image_registry']],
        azurebatch: ['az://', ['queue', 'region', 'image_registry'] + (isTrue(settings.use_gpu) ? ['gpu_queue'] : [])],
        k8s: ['/', ['storage_claim', 'image_registry']],
    ].get(settings.scheduler)
    if (!cloud) {
        return []
    }
    def absent = cloud[1].findAll { name -> !settings[name] }
    def problems = absent.collect { name -> "Expected --${name} for ${settings.scheduler}, found nothing." }
    def path = settings.scheduler == 'k8s' ? work.replaceFirst('^file:(//)?', '') : work
    return path.startsWith(cloud[0])
        ? problems
        : problems + ["Expected -work-dir to start with ${cloud[0]} for ${settings.scheduler}, found `${path}`."]
}

def gpuProblems(settings) {
    if (!isTrue(settings.use_gpu) || settings.scheduler || answer(['nvidia-smi', '-L'])) {
        return []
    }
    return [
        'Expected an NVIDIA GPU for -profile gpu, found that `nvidia-smi -L` lists none. ' +
            'Leave gpu out of -profile, or run where there is one.'
    ]
}

def onPath(command) {
    return System.getenv('PATH').tokenize(':').any { folder -> file("${folder}/${command}").exists() }
}

// What a command prints within 20 seconds; null if it cannot be started or fails.
def answer(command) {
    if (!onPath(command[0])) {
        return null
    }
    def process = (['timeout', '20'] + command).execute()
    def text = process.text
    return process.waitFor() == 0 ? text : null
}
