// Runs a declarative Jenkinsfile: real Groovy reads it, real shells run its `sh` steps. It stands in for Jenkins, which
// cannot be had here, and follows "Pipeline Syntax" of the Jenkins handbook as far as the example needs it: stages in
// order, the first failed step ends the build, `post` conditions, and what an abort does (SIGTERM to the step's process
// group, no further stage, then `post { always }` and `post { aborted }`).
//
// arguments: FILE, the stage to abort or '', and the text in its output at which it is aborted.
// An unknown step fails, as in Jenkins.

def (file, abortStage, abortText) = [args[0], args[1], args[2]]

class Aborted extends RuntimeException {}
class StepFailed extends RuntimeException { StepFailed(String text) { super(text) } }

class Build {
    String abortStage, abortText
    String stage = ''
    String result = 'SUCCESS'
    Map<String, String> environment = new TreeMap<>(System.getenv())

    void run(Closure body, Object delegate) {
        body.delegate = delegate
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body()
    }
}

class Steps {
    Build build
    Map getEnv() { build.environment }
    def propertyMissing(String name) {
        if (build.environment.containsKey(name)) return build.environment[name]
        throw new MissingPropertyException(name, Steps)
    }

    // Jenkins runs `sh -xe`. A process group of its own, for the abort.
    void sh(String script) {
        def aborts = build.stage == build.abortStage
        def process = new ProcessBuilder(['setsid', 'sh', '-xe', '-c', script]).redirectErrorStream(true)
        process.environment().clear()
        process.environment().putAll(build.environment)
        def started = process.start()
        started.outputStream.close()
        def aborted = false
        started.inputStream.eachLine { line ->
            println line
            if (aborts && !aborted && line.contains(build.abortText)) {
                aborted = true
                ['kill', '-TERM', '--', "-${started.pid()}"].execute().waitFor()
            }
        }
        def code = started.waitFor()
        if (aborted) throw new Aborted()
        if (code != 0) throw new StepFailed("script returned exit code $code")
    }
    void sh(Map named) { sh(named.script as String) }

    void input(Map named) {
        println "input: ${named.message} [${named.ok}]"
        if (build.stage == build.abortStage) throw new Aborted()
    }
    void junit(Map named) {
        def exists = new File(System.getenv('PWD'), named.testResults as String).exists()
        if (!exists && !named.allowEmptyResults) throw new StepFailed('No test report files were found')
        println "junit: ${named.testResults} ${exists ? 'recorded' : 'missing'}"
    }
}

class Post {
    Build build
    Steps steps
    void always(Closure body) { build.run(body, steps) }
    void aborted(Closure body) { if (build.result == 'ABORTED') build.run(body, steps) }
    void failure(Closure body) { if (build.result == 'FAILURE') build.run(body, steps) }
    void success(Closure body) { if (build.result == 'SUCCESS') build.run(body, steps) }
}

class Stage {
    Build build
    Steps steps
    Closure after
    // Of a stage, `post` runs after `steps`, wherever it stands.
    void steps(Closure body) {
        try {
            build.run(body, steps)
        } catch (Aborted stop) {
            build.result = 'ABORTED'
        } catch (StepFailed failure) {
            println "ERROR: ${failure.message}"
            build.result = 'FAILURE'
        }
    }
    void post(Closure body) { after = body }
}

class Pipeline {
    Build build
    Steps steps
    Closure after
    Map getEnv() { build.environment }
    void agent(Closure body) { build.run(body, new Expando(label: { String name -> })) }
    void options(Closure body) {
        build.run(body, new Expando(disableConcurrentBuilds: { -> }, timeout: { Map named ->
            assert named.time instanceof Integer && named.unit in ['SECONDS', 'MINUTES', 'HOURS', 'DAYS']
        }))
    }
    void environment(Closure body) {
        def build = this.build
        build.run(body, new Object() {
            Map getEnv() { build.environment }
            void setProperty(String name, Object value) { build.environment[name] = value.toString() }
        })
    }
    void stages(Closure body) { build.run(body, this) }
    void stage(String name, Closure body) {
        if (build.result != 'SUCCESS') return
        build.stage = name
        println "[Pipeline] stage: $name"
        def stage = new Stage(build: build, steps: steps)
        build.run(body, stage)
        if (stage.after) build.run(stage.after, new Post(build: build, steps: steps))
    }
    void post(Closure body) { after = body }
}

def build = new Build(abortStage: abortStage, abortText: abortText)
def whole = new Pipeline(build: build, steps: new Steps(build: build))
def shell = new GroovyShell(new Binding([pipeline: { Closure body -> build.run(body, whole) }]))
shell.evaluate(new File(file))
// An abort is over: what `post` starts is not aborted.
build.stage = ''
if (whole.after) build.run(whole.after, new Post(build: build, steps: whole.steps))
println "Finished: ${build.result}"
System.exit(build.result == 'SUCCESS' ? 0 : 1)
