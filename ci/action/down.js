'use strict';

require('./lab').lab('down');
