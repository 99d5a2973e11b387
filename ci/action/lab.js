// Runs ci/lab.sh as a step of GitHub's: inputs become variables, and a signal reaches it.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');

const VARIABLES = {
  INPUT_ROSTER: 'SOPSLAB_ROSTER',
  INPUT_FILE: 'SOPSLAB_FILE',
  INPUT_REPORTS: 'SOPSLAB_REPORTS',
};

exports.lab = (verb) => {
  const env = { ...process.env };
  for (const [input, variable] of Object.entries(VARIABLES)) {
    // An input that is not given is there, and empty.
    if (env[input]) env[variable] = env[input];
  }
  const script = path.join(__dirname, '..', 'lab.sh');
  const child = spawn('sh', [script, verb], { env, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`sh cannot be run: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
};
