'use strict';

require('./lab').lab('up');
